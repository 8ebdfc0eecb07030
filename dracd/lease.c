/*
 * Leases and their stored records.
 *
 * A record starts with its version and is big-endian.  It is kept small because a site
 * may have a million of them: seconds where nobody sees more, strings with a length
 * octet.
 */
#include "dracd/lease.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	RECORD_VERSION = 2
};

uint64_t user_hash(const char *user)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (const char *at = user; *at; at++)
		hash = (hash ^ (unsigned char)*at) * UINT64_C(0x100000001b3);
	return hash ? hash : 1; /* 0 stands for "none" */
}

void lease_extend(struct lease *lease, uint64_t usec, struct moment now)
{
	uint64_t deadline = clock_add(now.boot_usec, usec);

	if (deadline > lease->deadline_boot_usec)
		lease->deadline_boot_usec = deadline;
	/* by the wall clock as it is now: it may have been set since the last login */
	lease->deadline_wall_usec =
		clock_add(now.wall_usec, lease->deadline_boot_usec - now.boot_usec);
}

/* ---- services ---- */

static int find_service(const struct services *services, const char *service)
{
	for (int i = 0; i < services->count; i++)
		if (strcmp(services->items[i].name, service) == 0)
			return i;
	return -1;
}

bool services_has(const struct services *services, const char *service, struct moment now)
{
	int i = find_service(services, service);

	return i >= 0 && services->items[i].deadline_boot_usec > now.boot_usec;
}

static void put_later(struct services *services, int i, uint64_t deadline_boot_usec)
{
	if (services->items[i].deadline_boot_usec < deadline_boot_usec)
		services->items[i].deadline_boot_usec = deadline_boot_usec;
}

void services_extend(struct services *services, const char *service,
	uint64_t deadline_boot_usec, struct moment now)
{
	if (services_has(services, service, now))
		put_later(services, find_service(services, service), deadline_boot_usec);
}

static void drop_services_over(struct services *services, struct moment now)
{
	uint8_t kept = 0;

	for (unsigned i = 0; i < services->count; i++)
		if (services->items[i].deadline_boot_usec > now.boot_usec)
			services->items[kept++] = services->items[i];
	services->count = kept;
}

/* A place for one more that lasts so long; -1: all the others last longer. */
static int free_service(struct services *services, uint64_t deadline_boot_usec)
{
	int first = 0;

	if (services->count < LEASE_SERVICES_MAX)
		return services->count++;
	for (int i = 1; i < services->count; i++)
		if (services->items[i].deadline_boot_usec <
			services->items[first].deadline_boot_usec)
			first = i;
	return services->items[first].deadline_boot_usec < deadline_boot_usec ? first
									      : -1;
}

void services_add(struct services *services, const char *service,
	uint64_t deadline_boot_usec, struct moment now)
{
	int i;

	drop_services_over(services, now);
	if (!*service)
		return;
	i = find_service(services, service);
	if (i < 0) {
		i = free_service(services, deadline_boot_usec);
		if (i < 0)
			return;
		snprintf(services->items[i].name, SERVICE_SIZE, "%s", service);
		services->items[i].deadline_boot_usec = 0;
	}
	put_later(services, i, deadline_boot_usec);
}

void services_move(struct services *services, uint64_t old, uint64_t new)
{
	for (unsigned i = 0; i < services->count; i++) {
		uint64_t *deadline = &services->items[i].deadline_boot_usec;
		uint64_t before = old > *deadline ? old - *deadline : 0;

		*deadline = new > before ? new - before : 0;
	}
}

/* ---- leases ---- */

/* The deadline, service and reporter of a login.  The lease counts for the reporter that
 * makes it last: else one could have it last for long, have another report it, and go on
 * to the next. */
static void apply_login(
	struct lease *lease, const struct login *login, uint64_t usec, struct moment now)
{
	const bool lasts = clock_add(now.boot_usec, usec) >= lease->deadline_boot_usec;

	lease_extend(lease, usec, now);
	services_add(
		&lease->services, login->service, clock_add(now.boot_usec, usec), now);
	lease->login_wall_usec = now.wall_usec;
	if (lease->logins < UINT32_MAX)
		lease->logins++;
	memcpy(lease->service, login->service, sizeof(lease->service));
	if (lasts)
		memcpy(lease->reporter, login->reporter, sizeof(lease->reporter));
}

struct lease lease_grant(const struct address *address, const struct login *login,
	uint64_t usec, struct moment now)
{
	struct lease lease = {
		.address = *address,
		.granted_wall_usec = now.wall_usec,
	};

	apply_login(&lease, login, usec, now);
	return lease;
}

void lease_renew(
	struct lease *lease, const struct login *login, uint64_t usec, struct moment now)
{
	apply_login(lease, login, usec, now);
}

void lease_drop_share(struct lease *lease, uint64_t hash)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < lease->share_count; i++)
		if (lease->shares[i] != hash)
			lease->shares[kept++] = lease->shares[i];
	lease->share_count = (uint8_t)kept;
}

uint64_t lease_add_share(struct lease *lease, uint64_t hash)
{
	uint64_t gone = 0;

	lease->seen_users |= UINT64_C(1) << (hash >> 58);
	lease_drop_share(lease, hash);
	if (lease->share_count == LEASE_SHARES_MAX) {
		gone = lease->shares[0];
		lease_drop_share(lease, gone);
	}
	lease->shares[lease->share_count++] = hash;
	return gone;
}

unsigned lease_user_count(const struct lease *lease)
{
	/* linear counting (Whang et al. 1990): -64 ln(zero bits / 64), for 0 to 64 bits
	 * set */
	static const uint16_t estimates[65] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13,
		15, 16, 17, 18, 20, 21, 23, 24, 25, 27, 29, 30, 32, 33, 35, 37, 39, 40,
		42, 44, 46, 49, 51, 53, 55, 58, 60, 63, 66, 68, 71, 74, 78, 81, 85, 89,
		93, 97, 102, 107, 113, 119, 126, 133, 142, 151, 163, 177, 196, 222, 266,
		300};
	unsigned estimate = estimates[__builtin_popcountll(lease->seen_users)];

	if (lease->share_count < LEASE_SHARES_MAX || estimate < lease->share_count)
		return lease->share_count;
	return estimate;
}

/* By its wall-clock time alone a lease would last as much longer as the wall clock was
 * set back while the machine ran: the boot clock knows better, up to the last commit. */
bool lease_rebase(struct lease *lease, struct moment last, struct moment now)
{
	uint64_t left, by_wall, old = lease->deadline_boot_usec;
	uint64_t passed = now.wall_usec - last.wall_usec;

	if (lease->deadline_wall_usec <= now.wall_usec || old <= last.boot_usec ||
		old - last.boot_usec <= passed)
		return false;
	by_wall = lease->deadline_wall_usec - now.wall_usec;
	left = old - last.boot_usec - passed;
	if (left > by_wall)
		left = by_wall;
	lease->deadline_boot_usec = clock_add(now.boot_usec, left);
	lease->deadline_wall_usec = clock_add(now.wall_usec, left);
	services_move(&lease->services, old, lease->deadline_boot_usec);
	return true;
}

/* ---- records ---- */

/* A place in a record being written, or read: then end bounds it and bad sticks. */
struct cursor {
	uint8_t *to;
	const uint8_t *from, *end;
	bool bad;
};

static void put_number(struct cursor *cursor, uint64_t number, unsigned octets)
{
	for (unsigned i = octets; i-- > 0;)
		*cursor->to++ = (uint8_t)(number >> (8 * i));
}

static uint64_t get_number(struct cursor *cursor, unsigned octets)
{
	uint64_t number = 0;

	if (cursor->bad || (size_t)(cursor->end - cursor->from) < octets) {
		cursor->bad = true;
		return 0;
	}
	while (octets-- > 0)
		number = number << 8 | *cursor->from++;
	return number;
}

static void put_text(struct cursor *cursor, const char *text)
{
	size_t length = strlen(text);

	put_number(cursor, length, 1);
	memcpy(cursor->to, text, length);
	cursor->to += length;
}

static void get_text(struct cursor *cursor, char *ret, size_t size)
{
	size_t length = get_number(cursor, 1);

	if (cursor->bad || length >= size ||
		(size_t)(cursor->end - cursor->from) < length ||
		memchr(cursor->from, '\0', length)) {
		cursor->bad = true;
		return;
	}
	memcpy(ret, cursor->from, length);
	ret[length] = '\0';
	cursor->from += length;
}

/* Seven bits an octet, the lowest first; the last octet has no 0x80. */
static void put_short(struct cursor *cursor, uint64_t number)
{
	for (; number >= 0x80; number >>= 7)
		put_number(cursor, 0x80 | (number & 0x7f), 1);
	put_number(cursor, number, 1);
}

static uint64_t get_short(struct cursor *cursor)
{
	uint64_t number = 0, octet = 0x80;

	for (unsigned shift = 0; octet & 0x80; shift += 7) {
		octet = get_number(cursor, 1);
		/* no bit above the 64th, and no octet that says nothing */
		if (cursor->bad || (shift == 63 && octet > 1) ||
			(shift > 0 && octet == 0)) {
			cursor->bad = true;
			return 0;
		}
		number |= (octet & 0x7f) << shift;
	}
	return number;
}

/* As how much before the end of the lease or share they end: nearly always 0. */
static void put_services(
	struct cursor *cursor, const struct services *services, uint64_t deadline)
{
	put_number(cursor, services->count, 1);
	for (unsigned i = 0; i < services->count; i++) {
		uint64_t end = services->items[i].deadline_boot_usec;

		put_text(cursor, services->items[i].name);
		put_short(cursor, deadline > end ? deadline - end : 0);
	}
}

static void get_services(struct cursor *cursor, uint64_t deadline, struct services *ret)
{
	ret->count = (uint8_t)get_number(cursor, 1);
	if (ret->count > LEASE_SERVICES_MAX)
		cursor->bad = true;
	for (unsigned i = 0; i < ret->count && !cursor->bad; i++) {
		uint64_t before;

		get_text(cursor, ret->items[i].name, SERVICE_SIZE);
		before = get_short(cursor);
		if (cursor->bad || before > deadline || !*ret->items[i].name ||
			find_service(ret, ret->items[i].name) < (int)i)
			cursor->bad = true;
		ret->items[i].deadline_boot_usec = deadline - before;
	}
}

void lease_key_encode(const struct address *address, uint8_t ret[LEASE_KEY_SIZE])
{
	memcpy(ret, address->ip.s6_addr, 16);
	ret[16] = address->length;
}

int lease_key_decode(const uint8_t *key, size_t length, struct address *ret)
{
	struct address address, network;

	if (length != LEASE_KEY_SIZE || key[16] > 128)
		return -EBADMSG;
	memcpy(address.ip.s6_addr, key, 16);
	address.length = key[16];
	network = address_network(&address, address.length);
	if (address_compare(&network, &address) != 0)
		return -EBADMSG;
	*ret = address;
	return 0;
}

size_t lease_encode(const struct lease *lease, uint8_t ret[LEASE_RECORD_MAX])
{
	struct cursor cursor = {.to = ret};

	put_number(&cursor, RECORD_VERSION, 1);
	put_number(&cursor, lease->deadline_boot_usec, 8);
	put_number(&cursor, lease->deadline_wall_usec, 8);
	put_number(&cursor, lease->granted_wall_usec / USEC_PER_MSEC, 6);
	put_number(&cursor, lease->login_wall_usec / USEC_PER_MSEC, 6);
	put_number(&cursor, lease->logins, 4);
	put_number(&cursor, lease->seen_users, 8);
	put_services(&cursor, &lease->services, lease->deadline_boot_usec);
	put_number(&cursor,
		(uint64_t)(find_service(&lease->services, lease->service) + 1), 1);
	put_text(&cursor, lease->reporter);
	put_number(&cursor, lease->share_count, 1);
	for (unsigned i = 0; i < lease->share_count; i++)
		put_number(&cursor, lease->shares[i], 8);
	return (size_t)(cursor.to - ret);
}

int lease_decode(const uint8_t *record, size_t length, struct lease *ret)
{
	struct cursor cursor = {.from = record, .end = record + length};
	struct lease lease = {.address = ret->address};
	uint64_t latest;

	if (get_number(&cursor, 1) != RECORD_VERSION)
		return -EBADMSG;
	lease.deadline_boot_usec = get_number(&cursor, 8);
	lease.deadline_wall_usec = get_number(&cursor, 8);
	lease.granted_wall_usec = get_number(&cursor, 6) * USEC_PER_MSEC;
	lease.login_wall_usec = get_number(&cursor, 6) * USEC_PER_MSEC;
	lease.logins = (uint32_t)get_number(&cursor, 4);
	lease.seen_users = get_number(&cursor, 8);
	get_services(&cursor, lease.deadline_boot_usec, &lease.services);
	latest = get_number(&cursor, 1);
	if (!cursor.bad && latest > lease.services.count)
		return -EBADMSG;
	if (!cursor.bad && latest > 0)
		memcpy(lease.service, lease.services.items[latest - 1].name,
			SERVICE_SIZE);
	get_text(&cursor, lease.reporter, sizeof(lease.reporter));
	lease.share_count = (uint8_t)get_number(&cursor, 1);
	if (cursor.bad || lease.share_count > LEASE_SHARES_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < lease.share_count; i++)
		lease.shares[i] = get_number(&cursor, 8);
	if (cursor.bad || cursor.from != cursor.end)
		return -EBADMSG;
	*ret = lease;
	return 0;
}

size_t share_encode(const struct share *share, uint8_t ret[SHARE_RECORD_MAX])
{
	struct cursor cursor = {.to = ret};

	put_number(&cursor, RECORD_VERSION, 1);
	put_number(&cursor, share->granted_wall_usec / USEC_PER_MSEC, 6);
	put_number(&cursor, share->deadline_boot_usec, 8);
	put_text(&cursor, share->user);
	put_services(&cursor, &share->services, share->deadline_boot_usec);
	return (size_t)(cursor.to - ret);
}

int share_decode(const uint8_t *record, size_t length, struct share *ret)
{
	struct cursor cursor = {.from = record, .end = record + length};
	struct share share = {0};

	if (get_number(&cursor, 1) != RECORD_VERSION)
		return -EBADMSG;
	share.granted_wall_usec = get_number(&cursor, 6) * USEC_PER_MSEC;
	share.deadline_boot_usec = get_number(&cursor, 8);
	get_text(&cursor, share.user, sizeof(share.user));
	get_services(&cursor, share.deadline_boot_usec, &share.services);
	if (cursor.bad || cursor.from != cursor.end)
		return -EBADMSG;
	*ret = share;
	return 0;
}
