/* The recipes of dracctl: the texts, and what of dracd each is for. */
#ifndef CLIENT_CTL_RECIPE_H
#define CLIENT_CTL_RECIPE_H

#include <stddef.h>

/* Postfix of Debian runs chrooted here, and names what lies in it relative to it. */
#define QUEUE_DIRECTORY "/var/spool/postfix/"

/* Where the socket or the file must be. */
enum recipe_place {
	PLACE_ANY,
	PLACE_IN_QUEUE,     /* in Postfix's queue directory */
	PLACE_NOT_IN_QUEUE, /* so that others than Postfix can reach it */
	PLACE_ACCESS,       /* named "access": FEATURE(access_db) wants it so */
	PLACE_NOT_ACCESS,
};

struct recipe {
	const char *name;
	const char *summary;

	/* The words of its line in the answer to "status"; NULL is any.  A recipe without
	 * a section is about drac-postlogin. */
	const char *section; /* "lookup" or "map" */
	const char *type;    /* of a map; of a lookup the protocol */
	const char *keys;
	const char *nul;
	enum recipe_place place;

	/* What to print: @PATH@ stands for the path, @DIRECTORY@ for the directory it is
	 * in, with a slash. */
	const char *text;
	/* What makes it exist, where it does not: for drac.conf, and commands. */
	const char *missing;
};

extern const struct recipe recipes[];
extern const size_t recipe_count;

#endif
