/*
 * Lookups: what an MTA asks at the moment of the SMTP command.
 *
 *   policy      Postfix policy delegation, SMTPD_POLICY_README
 *   socketmap   netstrings "<map> <key>", Postfix socketmap_table(5), Sendmail
 *               "socket" map (cf/README, SOCKETMAP)
 *   plain       a line "[<word> ]<address>", one word back, the end; for scripts and
 *               Exim's ${readsocket}
 *
 * A key is an address in any spelling (compressed or not, "ipv6:" before it); a host name
 * or anything else is "not found", never an error.  The exact words and spaces of the
 * answers matter: an empty policy action permits, and a bare "OK" crashes sendmail.
 */
#ifndef DRACD_LOOKUP_H
#define DRACD_LOOKUP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "dracd/address.h"
#include "dracd/server.h"

/* The context of a lookup server. */
struct lookup {
	/* 1: may relay, 0: may not, negative errno: cannot tell now */
	int (*ask)(const struct address *address, void *context);
	void *context;
	uint64_t asked, permitted;
};

/* What a protocol says. */
struct lookup_words {
	const char *permit, *no, *later;
};

/* Asks for address (NULL: the question holds none, which is "no") and sends the word. */
void lookup_answer(struct connection *connection, const struct address *address,
	const struct lookup_words *words);

extern const struct protocol policy_protocol;
extern const struct protocol socketmap_protocol;
extern const struct protocol plain_protocol;

/* Parses an address in any spelling that MTAs use, of length octets. */
bool lookup_key_parse(const char *text, size_t length, struct address *ret);

/* Finds one whole policy request at the start of data.  Returns its length with the empty
 * line, or 0 if it is not whole.  *ret_has_address: it is well-formed and asks for a
 * valid client address, once; otherwise the address is untouched. */
size_t policy_parse(const char *data, size_t length, bool *ret_has_address,
	struct address *ret_address);

/* Finds one whole netstring at the start of data.  Returns its length with the comma, 0
 * if it is not whole, or -EBADMSG.  *ret_has_address: its second word is an address. */
ssize_t socketmap_parse(const char *data, size_t length, bool *ret_has_address,
	struct address *ret_address);

/* Finds one line at the start of data, which has its end in a newline or, with is_end, in
 * that of the data.  Returns its length with the newline, or 0 if it is not whole.
 * *ret_has_address: it is an address, or a word, a space and an address; never if the
 * line is too long. */
size_t plain_parse(const char *data, size_t length, bool is_end, bool *ret_has_address,
	struct address *ret_address);

#endif
