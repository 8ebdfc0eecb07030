/*
 * A lease: the right of an address to relay until a deadline, and who gave it.
 *
 * Pure: how a login extends a lease, how a reboot shortens it, and the record in which
 * the table stores it.
 */
#ifndef DRACD_LEASE_H
#define DRACD_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dracd/address.h"
#include "dracd/clock.h"
#include "dracd/login.h"

enum {
	LEASE_SHARES_MAX = 16,  /* users kept per lease, the latest */
	LEASE_SERVICES_MAX = 8, /* services kept per lease, and per share */
	LEASE_RECORD_MAX = 560, /* octets of a stored lease */
	SHARE_RECORD_MAX = 620, /* of a stored share */
	LEASE_KEY_SIZE = 17,    /* address and prefix length */
};

/* By which services the logins came, and until when those by each are in force: never
 * longer than the lease or share is.  Logins that named none are not in it. */
struct services {
	uint8_t count;

	struct {
		char name[SERVICE_SIZE];
		uint64_t deadline_boot_usec;
	} items[LEASE_SERVICES_MAX];
};

struct lease {
	struct address address;
	uint64_t deadline_boot_usec; /* of this boot; what admission compares */
	uint64_t deadline_wall_usec; /* carries it across a reboot */
	uint64_t granted_wall_usec;
	uint64_t login_wall_usec; /* the latest */
	uint32_t logins;
	uint64_t seen_users; /* bit set of user hashes, to estimate how many there were */
	char service[SERVICE_SIZE]; /* of the latest login; empty: not known any more */
	struct services services;
	char reporter[REPORTER_SIZE];
	uint8_t share_count;
	uint64_t shares[LEASE_SHARES_MAX]; /* hashes of users, the latest last */
};

/* The part that one user has in a lease. */
struct share {
	uint64_t granted_wall_usec;
	uint64_t deadline_boot_usec;
	char user[USER_SIZE];
	struct services services;
};

/* A hash of the user name, under which the table files his shares (64-bit FNV-1a). */
uint64_t user_hash(const char *user);

/* A new lease for a login at now that lasts usec. */
struct lease lease_grant(const struct address *address, const struct login *login,
	uint64_t usec, struct moment now);

/* Extends lease by a login at now: never shortens it. */
void lease_renew(
	struct lease *lease, const struct login *login, uint64_t usec, struct moment now);

/* Puts the deadline at now plus usec, and nothing else: never earlier than it is by the
 * boot clock. */
void lease_extend(struct lease *lease, uint64_t usec, struct moment now);

/* Notes a login by service at now that is in force until deadline_boot_usec, at least: an
 * earlier one may be so longer.  If there are too many services, the one that ends first
 * gives way. */
void services_add(struct services *services, const char *service,
	uint64_t deadline_boot_usec, struct moment now);

/* The same, but only if a login by service is in force at now. */
void services_extend(struct services *services, const char *service,
	uint64_t deadline_boot_usec, struct moment now);

/* Moves them by as much as a deadline that was old and is now new. */
void services_move(struct services *services, uint64_t old, uint64_t new);

/* True if a login by service is in force at now. */
bool services_has(
	const struct services *services, const char *service, struct moment now);

/* Records hash as the latest user.  Returns the hash of a share that had to give way,
 * which is the one longest without a login; 0 if there was room. */
uint64_t lease_add_share(struct lease *lease, uint64_t hash);
void lease_drop_share(struct lease *lease, uint64_t hash);

/* How many different users have logged in under this lease: exact up to the kept shares,
 * beyond that an estimate by linear counting. */
unsigned lease_user_count(const struct lease *lease);

/* Carries a deadline into a new boot: what was left of it at the last commit, less what
 * the wall clock says has passed since; and no later than at its wall-clock time.  now is
 * not before last by the wall clock.  Returns false if the lease is over. */
bool lease_rebase(struct lease *lease, struct moment last, struct moment now);

/* The stored forms.  Encoding returns the length.  Decoding returns 0, or -EBADMSG for a
 * record that is not one. */
void lease_key_encode(const struct address *address, uint8_t ret[LEASE_KEY_SIZE]);
int lease_key_decode(const uint8_t *key, size_t length, struct address *ret)
	__attribute__((warn_unused_result));
size_t lease_encode(const struct lease *lease, uint8_t ret[LEASE_RECORD_MAX]);
int lease_decode(const uint8_t *record, size_t length, struct lease *ret)
	__attribute__((warn_unused_result));
size_t share_encode(const struct share *share, uint8_t ret[SHARE_RECORD_MAX]);
int share_decode(const uint8_t *record, size_t length, struct share *ret)
	__attribute__((warn_unused_result));

#endif
