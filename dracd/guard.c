/*
 * Who may have a lease.
 *
 * The special ranges are those of the IANA registries "IPv4 Special-Purpose Address
 * Space" and "IPv6 Special-Purpose Address Space" (RFC 6890 and its successors), in three
 * kinds: never to be opened; opened only where lease_special names them; and the rest.
 */
#include "dracd/guard.h"

#include <fnmatch.h>
#include <string.h>

static const struct {
	const char *name;
	const char *hint;
} reasons[REASON_COUNT] = {
	[REASON_OK] = {"ok", NULL},
	[REASON_UNSPECIFIED] = {"unspecified", NULL},
	[REASON_MULTICAST] = {"multicast", NULL},
	[REASON_BROADCAST] = {"broadcast", NULL},
	[REASON_LINK_LOCAL] = {"link_local", NULL},
	[REASON_OWN_ADDRESS] = {"own_address", NULL},
	[REASON_ROUTER] = {"router", NULL},
	[REASON_CLIENT_IS_LOCAL] = {"client_is_local", NULL},
	[REASON_LOOPBACK] = {"loopback", "lease_special"},
	[REASON_PRIVATE] = {"private", "lease_special"},
	[REASON_SHARED] = {"shared", "lease_special"},
	[REASON_DOCUMENTATION] = {"documentation", "lease_special"},
	[REASON_RESERVED] = {"reserved", "lease_special"},
	[REASON_NEVER_LEASE] = {"never_lease", "never_lease"},
	[REASON_DENIED] = {"denied", "deny"},
	[REASON_REVOKED] = {"revoked", "dracctl unblock"},
	[REASON_NOT_IN_NETWORKS] = {"not_in_networks", "lease_networks"},
	[REASON_SERVICE] = {"service", "service"},
	[REASON_USER_NEVER] = {"user_never", "never_lease_users"},
	[REASON_USER_REVOKED] = {"user_revoked", "dracctl unblock"},
	[REASON_MAX_LEASES] = {"max_leases", "max_leases"},
	[REASON_MAX_LEASES_PER_USER] = {"max_leases_per_user", "max_leases_per_user"},
	[REASON_MAX_LEASES_PER_REPORTER] = {"max_leases_per_reporter", "reporter"},
	[REASON_MAX_RATE] = {"max_rate", "reporter"},
	[REASON_NO_LEASE] = {"no_lease", NULL},
};

const char *reason_name(enum reason reason)
{
	return reasons[reason].name;
}

const char *reason_hint(enum reason reason)
{
	return reasons[reason].hint;
}

/* The first row that contains an address tells what it is; IPv4 lengths are 96 more. */
static const struct special {
	uint8_t ip[16];
	uint8_t length;
	enum reason reason;
} specials[] = {

#define V4(a, b, c, d, length, reason)                                                   \
	{                                                                                \
		{[10] = 0xff, 0xff, a, b, c, d}, 96 + (length), REASON_##reason          \
	}
#define V6(a, b, c, d, length, reason)                                                   \
	{                                                                                \
		{(a) >> 8, (a)&0xff, (b) >> 8, (b)&0xff, (c) >> 8, (c)&0xff, (d) >> 8,   \
			(d)&0xff},                                                       \
			length, REASON_##reason                                          \
	}
	V4(0, 0, 0, 0, 8, UNSPECIFIED),        /* "this network", RFC 791 */
	V4(255, 255, 255, 255, 32, BROADCAST), /* RFC 8190 */
	V4(224, 0, 0, 0, 4, MULTICAST), V4(169, 254, 0, 0, 16, LINK_LOCAL), /* RFC 3927 */
	V4(127, 0, 0, 0, 8, LOOPBACK), V4(10, 0, 0, 0, 8, PRIVATE),         /* RFC 1918 */
	V4(172, 16, 0, 0, 12, PRIVATE), V4(192, 168, 0, 0, 16, PRIVATE),
	V4(100, 64, 0, 0, 10, SHARED), /* carrier-grade NAT, RFC 6598 */
	V4(192, 0, 2, 0, 24, DOCUMENTATION), V4(198, 51, 100, 0, 24, DOCUMENTATION),
	V4(203, 0, 113, 0, 24, DOCUMENTATION),
	V4(192, 0, 0, 0, 24, RESERVED),    /* IETF protocol assignments */
	V4(192, 31, 196, 0, 24, RESERVED), /* AS112 */
	V4(192, 52, 193, 0, 24, RESERVED), /* AMT */
	V4(192, 88, 99, 0, 24, RESERVED),  /* 6to4 relay anycast */
	V4(192, 175, 48, 0, 24, RESERVED), /* AS112 */
	V4(198, 18, 0, 0, 15, RESERVED),   /* benchmarks, RFC 2544 */
	V4(240, 0, 0, 0, 4, RESERVED), {{0}, 128, REASON_UNSPECIFIED}, /* :: */
	{{[15] = 1}, 128, REASON_LOOPBACK},                            /* ::1 */
	{{0}, 96, REASON_RESERVED},                /* v4-compatible, deprecated */
	{{[8] = 0xff, 0xff}, 96, REASON_RESERVED}, /* IPv4-translated, RFC 2765 */
	V6(0xff00, 0, 0, 0, 8, MULTICAST), V6(0xfe80, 0, 0, 0, 10, LINK_LOCAL),
	V6(0xfec0, 0, 0, 0, 10, LINK_LOCAL), /* site-local, deprecated */
	V6(0xfc00, 0, 0, 0, 7, PRIVATE),     /* unique local, RFC 4193 */
	V6(0x2001, 0xdb8, 0, 0, 32, DOCUMENTATION),
	V6(0x3fff, 0, 0, 0, 20, DOCUMENTATION), /* RFC 9637 */
	V6(0x2001, 0, 0, 0, 23, RESERVED),      /* IETF assignments: Teredo, ORCHID ... */
	V6(0x2002, 0, 0, 0, 16, RESERVED),      /* 6to4 */
	V6(0x64, 0xff9b, 0, 0, 96, RESERVED),   /* NAT64, RFC 6052 */
	V6(0x64, 0xff9b, 1, 0, 48, RESERVED),   /* NAT64, RFC 8215 */
	V6(0x100, 0, 0, 0, 64, RESERVED),       /* discard only */
	V6(0x100, 0, 0, 1, 64, RESERVED),       /* dummy prefix, RFC 9780 */
	V6(0x2620, 0x4f, 0x8000, 0, 48, RESERVED), /* AS112 */
	V6(0x5f00, 0, 0, 0, 16, RESERVED),         /* segment routing, RFC 9602 */
#undef V4
#undef V6
};

static enum reason special_reason(const struct address *address)
{
	for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		struct address range = {.length = specials[i].length};

		memcpy(range.ip.s6_addr, specials[i].ip, 16);
		if (address_contains(&range, address) ||
			address_contains(address, &range))
			return specials[i].reason;
	}
	return REASON_OK;
}

static bool is_opened_by_lease_special(enum reason reason)
{
	return reason >= REASON_LOOPBACK && reason <= REASON_RESERVED;
}

static enum reason judge_address(const struct rules *rules, const struct login *login,
	bool by_admin, struct moment now)
{
	const struct config *config = rules->config;
	const struct address *address = &login->address;
	enum reason special = special_reason(address);

	if (special != REASON_OK && !is_opened_by_lease_special(special))
		return special;
	if (login->has_local && address_compare(&login->local, address) == 0)
		return REASON_CLIENT_IS_LOCAL;
	if (rules->own && prefix_set_overlaps(rules->own, address))
		return REASON_OWN_ADDRESS;
	if (rules->routers && prefix_set_overlaps(rules->routers, address))
		return REASON_ROUTER;
	if (special != REASON_OK && !prefix_set_find(&config->lease_special, address))
		return special;
	if (prefix_set_overlaps(&config->deny, address))
		return REASON_DENIED;
	if (prefix_set_overlaps(&config->never_lease, address))
		return REASON_NEVER_LEASE;
	if (blocks_find_address(rules->blocks, address, now))
		return REASON_REVOKED;
	if (!by_admin && !prefix_set_find(&config->lease_networks, address))
		return REASON_NOT_IN_NETWORKS;
	return REASON_OK;
}

static enum reason judge_user(
	const struct rules *rules, const struct login *login, struct moment now)
{
	const struct text_list *never = &rules->config->never_lease_users;

	if (!*login->user)
		return REASON_OK;
	for (size_t i = 0; i < never->count; i++)
		if (fnmatch(never->items[i], login->user, 0) == 0)
			return REASON_USER_NEVER;
	return blocks_find_user(rules->blocks, login->user, now) ? REASON_USER_REVOKED
								 : REASON_OK;
}

/* A login without a service (an old DRAC client knows none) gets the global lease time.
 */
static enum reason judge_service(
	const struct config *config, const struct login *login, uint64_t *ret_usec)
{
	const struct service_settings *service;

	*ret_usec = config->lease_time_usec;
	if (!*login->service)
		return REASON_OK;
	service = config_service(config, login->service);
	if (!service || !service->lease)
		return REASON_SERVICE;
	if (service->lease_time_usec)
		*ret_usec = service->lease_time_usec;
	return REASON_OK;
}

/* The configured prefix around an IPv6 host, unless someone in it is kept out: then the
 * host alone, because most maps cannot express an exception inside a prefix. */
static struct address lease_key(
	const struct rules *rules, const struct address *address, struct moment now)
{
	const struct config *config = rules->config;
	struct address network;

	if (!address_is_host(address) || address_is_ipv4(address))
		return *address;
	network = address_network(address, config->ipv6_prefix);
	if (prefix_set_overlaps(&config->deny, &network) ||
		prefix_set_overlaps(&config->never_lease, &network) ||
		(rules->own && prefix_set_overlaps(rules->own, &network)) ||
		(rules->routers && prefix_set_overlaps(rules->routers, &network)) ||
		blocks_find_address(rules->blocks, &network, now))
		return *address;
	return network;
}

static uint64_t cut_to_limits(
	const struct config *config, const struct login *login, uint64_t usec)
{
	const struct reporter_settings *limits =
		config_reporter_limits(config, login->reporter);

	if (usec > config->lease_time_max_usec)
		usec = config->lease_time_max_usec;
	if (limits && limits->lease_time_max_usec && usec > limits->lease_time_max_usec)
		usec = limits->lease_time_max_usec;
	return usec;
}

enum reason guard_judge(const struct rules *rules, const struct login *login,
	bool by_admin, struct moment now, struct address *ret_key, uint64_t *ret_usec)
{
	uint64_t usec = rules->config->lease_time_usec;
	enum reason reason;

	reason = judge_address(rules, login, by_admin, now);
	if (reason == REASON_OK)
		reason = judge_user(rules, login, now);
	if (reason == REASON_OK && !by_admin)
		reason = judge_service(rules->config, login, &usec);
	if (reason != REASON_OK)
		return reason;
	if (login->ttl_usec)
		usec = login->ttl_usec;
	if (!by_admin)
		usec = cut_to_limits(rules->config, login, usec);
	if (usec < USEC_PER_SEC)
		usec = USEC_PER_SEC;
	*ret_key = lease_key(rules, &login->address, now);
	*ret_usec = usec;
	return REASON_OK;
}

enum reason guard_admit(const struct rules *rules, const struct address *address,
	const struct lease *lease, struct moment now)
{
	if (prefix_set_overlaps(&rules->config->deny, address))
		return REASON_DENIED;
	if (prefix_set_overlaps(&rules->config->never_lease, address))
		return REASON_NEVER_LEASE;
	if (blocks_find_address(rules->blocks, address, now))
		return REASON_REVOKED;
	if (!lease || lease->deadline_boot_usec <= now.boot_usec)
		return REASON_NO_LEASE;
	return REASON_OK;
}

static bool has_service(
	const struct lease *lease, const struct text_list *wanted, struct moment now)
{
	for (size_t i = 0; i < wanted->count; i++)
		if (services_has(&lease->services, wanted->items[i], now))
			return true;
	return false;
}

enum reason guard_admit_view(const struct rules *rules, const struct view *view,
	const struct address *address, const struct lease *lease, struct moment now)
{
	enum reason reason = guard_admit(rules, address, lease, now);

	if (reason != REASON_OK)
		return reason;
	if (view->networks.count > 0 && !prefix_set_find(&view->networks, address))
		return REASON_NOT_IN_NETWORKS;
	if (view->services.count > 0 && !has_service(lease, &view->services, now))
		return REASON_SERVICE;
	return REASON_OK;
}
