/*
 * The administrator's own access file, in makemap(8)'s input language, as the static part
 * of a merged access.db.  Read as a whole; immutable afterwards, so it may be shared.
 */
#ifndef MAPS_ACCESS_H
#define MAPS_ACCESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

struct access;

/* The first thing wrong with a file, for the message of the caller. */
struct access_problem {
	unsigned line;    /* 0: the file as a whole */
	const char *text; /* static */
};

/* Reads path.  A line that makemap would refuse makes the whole file unusable, because a
 * half-read access file may lack just the REJECT that matters: -EBADMSG and *ret_problem;
 * -EAGAIN: the file changed while it was read; -EINVAL: it is no regular file; -EFBIG:
 * over 64 MiB; other errors as open(2) and read(2) give them.  Keys are lower-cased. */
int access_read(const char *path, struct access **ret, struct access_problem *ret_problem)
	__attribute__((warn_unused_result));

/* NULL is a no-op.  Returns NULL. */
struct access *access_free(struct access *access);

size_t access_count(const struct access *access);

/* The value of the row with exactly this key, or NULL. */
const char *access_get(const struct access *access, const char *key);

/* Row number index in the order of the file, index < access_count(). */
void access_row(const struct access *access, size_t index, const char **ret_key,
	const char **ret_value);

/* True if the most specific row that Sendmail's LookUpAddress would find for the prefix
 * ("connect:" before bare, then ever shorter networks), or any row inside the prefix,
 * refuses (REJECT, DISCARD, ERROR:..., an SMTP code: anything but OK, RELAY and SKIP):
 * then a lease must not override it.  prefix_length counts as in maps/key.h. */
bool access_refuses(const struct access *access, const struct in6_addr *address,
	unsigned prefix_length);

#endif
