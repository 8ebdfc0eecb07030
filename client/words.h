/*
 * The words of dracd's line protocol (report and control sockets), dracd-protocol(7).
 *
 * A line is a verb and words, separated by single spaces, ended by LF:
 *
 *     login address=203.0.113.9 user=bob@x.net service=imap
 *
 * A word is "key=value" or a bare key.  Keys are [a-z0-9_-]+; the verb may have capital
 * letters too (an answer begins with OK, NO or ERR).  In a value the octets
 * 0x00-0x20, 0x7f and '%' are written as %XX (two hexadecimal digits); a decoded value is
 * valid UTF-8 without control characters.  No key occurs twice.
 */
#ifndef CLIENT_WORDS_H
#define CLIENT_WORDS_H

#include <stddef.h>

enum {
	LINE_SIZE_MAX = 2048, /* of one line with its LF, both directions */
	WORDS_MAX = 32,       /* of one line, the verb counted */
};

struct word {
	const char *key;
	const char *value; /* decoded, NUL-terminated; NULL for a bare key */
};

/* Borrows the line it was parsed from. */
struct words {
	unsigned count;
	struct word word[WORDS_MAX];
};

/* A line under construction.  Appending to a full line sets overflow and changes nothing,
 * so that a caller checks once, in line_finish(). */
struct line {
	size_t length;
	int overflow;
	char text[LINE_SIZE_MAX + 1];
};

/* Parses and decodes line (length octets, without LF; a NUL or CR in it is an error) in
 * place.  Returns 0; -EBADMSG for a malformed line, -E2BIG for too many words; then
 * *ret_problem is a static text that names the fault and *ret is undefined. */
int words_parse(char *line, size_t length, struct words *ret, const char **ret_problem)
	__attribute__((warn_unused_result));

/* The value of key; NULL if it is absent or bare.  The verb is word[0]. */
const char *words_get(const struct words *words, const char *key);

/* True if word[index] (0 is the verb) is the bare key. */
int words_is(const struct words *words, unsigned index, const char *key);

/* The value of key as an unsigned decimal number: 0 and *ret set; -ENOENT if it is absent
 * (*ret untouched); -EINVAL if it is no number of at most 19 digits. */
int words_get_number(const struct words *words, const char *key, unsigned long long *ret)
	__attribute__((warn_unused_result));

/* Starts a line with its verb. */
void line_init(struct line *line, const char *verb);

/* Append " key=value", escaped; " key=number"; " key". */
void line_add(struct line *line, const char *key, const char *value);
void line_add_number(struct line *line, const char *key, unsigned long long number);
void line_add_bare(struct line *line, const char *key);

/* Ends the line with LF and NUL.  Returns its length with the LF, or -EMSGSIZE. */
int line_finish(struct line *line) __attribute__((warn_unused_result));

#endif
