/* The options of drac.conf: their parsers, and the table. */
#include "dracd/option.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "dracd/clock.h"

enum {
	MAP_VALUE_MAX = 64
};

static const char *parse_duration(
	const struct option *option, const char *text, void *field)
{
	uint64_t usec;

	if (duration_parse(text, &usec) < 0)
		return "not a duration; write 250ms, 6s, 30min, 4h or 2d";
	if (usec < option->minimum)
		return "duration too short";
	if (usec > option->maximum)
		return "duration too long";
	*(uint64_t *)field = usec;
	return NULL;
}

/* "auto" is resolved when the whole map is known, see config.c. */
static const char *parse_interval(
	const struct option *option, const char *text, void *field)
{
	if (strcmp(text, "auto") != 0)
		return parse_duration(option, text, field);
	*(uint64_t *)field = INTERVAL_AUTO;
	return NULL;
}

static const char *parse_number(
	const struct option *option, const char *text, void *field)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long long number;

	if (digits == 0 || digits > 12 || text[digits])
		return "not a whole number";
	number = strtoull(text, NULL, 10);
	if (number < option->minimum || number > option->maximum)
		return "number out of range; see drac.conf(5)";
	*(unsigned *)field = (unsigned)number;
	return NULL;
}

/* "auto" is 0. */
static const char *parse_number_or_auto(
	const struct option *option, const char *text, void *field)
{
	if (strcmp(text, "auto") != 0)
		return parse_number(option, text, field);
	*(unsigned *)field = 0;
	return NULL;
}

static const char *parse_yes_no(
	const struct option *option, const char *text, void *field)
{
	(void)option;
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return "must be yes or no";
	*(bool *)field = text[0] == 'y';
	return NULL;
}

static const char *parse_mode(const struct option *option, const char *text, void *field)
{
	(void)option;
	if (strcmp(text, "enforce") == 0)
		*(enum mode *)field = MODE_ENFORCE;
	else if (strcmp(text, "observe") == 0)
		*(enum mode *)field = MODE_OBSERVE;
	else
		return "must be enforce or observe";
	return NULL;
}

static const char *parse_durability(
	const struct option *option, const char *text, void *field)
{
	(void)option;
	if (strcmp(text, "full") == 0)
		*(enum durability *)field = DURABILITY_FULL;
	else if (strcmp(text, "batch") == 0)
		*(enum durability *)field = DURABILITY_BATCH;
	else if (strcmp(text, "process") == 0)
		*(enum durability *)field = DURABILITY_PROCESS;
	else
		return "must be full, batch or process";
	return NULL;
}

static const char *parse_ipv6_prefix(
	const struct option *option, const char *text, void *field)
{
	return parse_number(option, text, field)
		       ? "must be a prefix length from 48 to 128; 64 or 128 make sense"
		       : NULL;
}

static const char *parse_networks(
	const struct option *option, const char *text, void *field)
{
	struct address prefix;
	int r = address_parse_prefix(text, &prefix);

	(void)option;
	if (r == -ERANGE)
		return "host bits are set after the prefix length; write the network itself";
	if (r < 0)
		return "not an address or network; write 203.0.113.9, 10.0.0.0/8 or "
		       "2001:db8::/32";
	return prefix_set_add(field, &prefix) < 0 ? "out of memory" : NULL;
}

static const char *parse_text(const struct option *option, const char *text, void *field)
{
	char **place = field;

	(void)option;
	free(*place);
	*place = *text ? strdup(text) : NULL;
	return *text && !*place ? "out of memory" : NULL;
}

static const char *parse_path(const struct option *option, const char *text, void *field)
{
	size_t length = strlen(text);

	if (*text && *text != '/')
		return "must be an absolute path";
	/* one file, one spelling: maps are told apart by it */
	if (strstr(text, "//") || strstr(text, "/./") || strstr(text, "/../") ||
		(length > 1 && text[length - 1] == '/'))
		return "must be written without //, /./, /../ and a / at its end";
	return parse_text(option, text, field);
}

static const char *parse_needed_path(
	const struct option *option, const char *text, void *field)
{
	return *text ? parse_path(option, text, field) : "must not be empty";
}

static const char *parse_socket_path(
	const struct option *option, const char *text, void *field)
{
	/* room for the temporary name while it is bound */
	if (strlen(text) + 8 > sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return "too long for a unix socket (at most 100 octets)";
	if (strlen(text) > 4 && strcmp(text + strlen(text) - 4, ".new") == 0)
		return "must not end in .new: so a socket is called while it is made";
	return parse_needed_path(option, text, field);
}

static const char *parse_file_mode(
	const struct option *option, const char *text, void *field)
{
	(void)option;
	if (strspn(text, "01234567") != strlen(text) || strlen(text) < 3 ||
		strlen(text) > 4 || strtoul(text, NULL, 8) > 0777)
		return "must be an octal mode such as 0660";
	*(mode_t *)field = (mode_t)strtoul(text, NULL, 8);
	return NULL;
}

static bool parse_id(const char *text, unsigned *ret)
{
	size_t digits = strspn(text, "0123456789");

	if (digits == 0 || digits > 9 || text[digits])
		return false;
	*ret = (unsigned)strtoul(text, NULL, 10);
	return true;
}

static const char *parse_any_group(
	const struct option *option, const char *text, void *field)
{
	gid_t *place = field;
	const struct group *group;
	unsigned id;

	(void)option;
	*place = (gid_t)-1;
	if (!*text)
		return NULL;
	if (parse_id(text, &id)) {
		*place = id;
		return NULL;
	}
	group = getgrnam(text);
	if (!group)
		return "no such group on this host";
	*place = group->gr_gid;
	return NULL;
}

static const char *parse_group(const struct option *option, const char *text, void *field)
{
	const char *problem = parse_any_group(option, text, field);
	gid_t group = *(gid_t *)field;

	if (!problem && group != (gid_t)-1 && !group_is_ours(group))
		return "dracd is not a member of this group, so it cannot give a file to it; "
		       "add its account to the group";
	return problem;
}

/* The group that reporters share need not exist where the report socket comes from
 * systemd. */
static const char *parse_report_group(
	const struct option *option, const char *text, void *field)
{
	if (!getgrnam(text) && strcmp(text, option->fallback) == 0)
		text = "";
	return parse_group(option, text, field);
}

static const char *parse_accounts(
	const struct option *option, const char *text, void *field)
{
	struct account_list *list = field;
	struct account *grown;
	struct passwd *entry;
	unsigned id;

	(void)option;
	if (!parse_id(text, &id)) {
		entry = getpwnam(text);
		/* they are there once Dovecot's helper and the gateway are set up */
		if (!entry && (strcmp(text, "drac-login") == 0 ||
				      strcmp(text, "drac-rpcd") == 0))
			return NULL;
		if (!entry)
			return "no such account on this host";
		id = entry->pw_uid;
	}
	grown = reallocarray(list->items, list->count + 1, sizeof(*grown));
	if (!grown)
		return "out of memory";
	list->items = grown;
	grown[list->count] = (struct account){.uid = id, .name = strdup(text)};
	if (!grown[list->count].name)
		return "out of memory";
	list->count++;
	return NULL;
}

static const char *parse_text_list(
	const struct option *option, const char *text, void *field)
{
	struct text_list *list = field;
	char **grown;

	(void)option;
	grown = reallocarray(list->items, list->count + 1, sizeof(*grown));
	if (!grown)
		return "out of memory";
	list->items = grown;
	grown[list->count] = strdup(text);
	if (!grown[list->count])
		return "out of memory";
	list->count++;
	return NULL;
}

static const char *parse_protocol(
	const struct option *option, const char *text, void *field)
{
	(void)option;
	if (strcmp(text, "policy") == 0)
		*(enum lookup_protocol *)field = LOOKUP_POLICY;
	else if (strcmp(text, "socketmap") == 0)
		*(enum lookup_protocol *)field = LOOKUP_SOCKETMAP;
	else if (strcmp(text, "plain") == 0)
		*(enum lookup_protocol *)field = LOOKUP_PLAIN;
	else
		return "must be policy, socketmap or plain";
	return NULL;
}

static const char *parse_map_type(
	const struct option *option, const char *text, void *field)
{
	int r = map_type_parse(text, field);

	(void)option;
	if (r == -EOPNOTSUPP)
		return "this dracd was built without the library for it";
	return r < 0 ? "unknown map type; see drac.conf(5)" : NULL;
}

static const char *parse_key_form(
	const struct option *option, const char *text, void *field)
{
	(void)option;
	if (strcmp(text, "auto") == 0)
		*(enum key_form *)field = KEYS_AUTO;
	else if (key_form_parse(text, field) < 0)
		return "must be postfix, sendmail, access, exim or plain";
	return NULL;
}

static const char *parse_nul(const struct option *option, const char *text, void *field)
{
	(void)option;
	if (strcmp(text, "auto") == 0)
		*(enum nul *)field = NUL_AUTO;
	else if (strcmp(text, "yes") == 0)
		*(enum nul *)field = NUL_YES;
	else if (strcmp(text, "no") == 0)
		*(enum nul *)field = NUL_NO;
	else
		return "must be auto, yes or no";
	return NULL;
}

/* What no map may have; what an MTA makes of the rest, see config_map.c. */
static const char *parse_map_value(
	const struct option *option, const char *text, void *field)
{
	size_t length = strlen(text), digits = strspn(text, "0123456789");

	if (strcmp(text, "auto") == 0)
		return parse_text(option, "", field);
	if (length == 0)
		return "must not be empty: to Postfix that is an error (451)";
	if (strchr(text, ':'))
		return "a colon makes Postfix ask another map, which is an error (451)";
	if (digits > 0 && digits < length)
		return "digits and more than digits are to Postfix an error (451)";
	if (length > MAP_VALUE_MAX || text[0] == ' ' || text[length - 1] == ' ')
		return "must be one to 64 characters, without a blank at either end";
	for (const char *at = text; *at; at++)
		if (*at < ' ' || *at > '~' || *at == '"')
			return "must be of printable ASCII characters other than quotes";
	return parse_text(option, text, field);
}

/* What Berkeley DB can have. */
static const char *parse_page_size(
	const struct option *option, const char *text, void *field)
{
	unsigned size = 0;
	const char *problem = parse_number_or_auto(option, text, &size);

	if (!problem && (size & (size - 1)) != 0)
		problem = "must be auto or a power of two, such as 512";
	if (!problem)
		*(unsigned *)field = size;
	return problem;
}

#define SECONDS(n) ((n)*USEC_PER_SEC)
#define GLOBAL(field) SCOPE_GLOBAL, .offset = offsetof(struct config, field)
#define SERVICE(field) SCOPE_SERVICE, .offset = offsetof(struct service_settings, field)
#define REPORTER(it) SCOPE_REPORTER, .offset = offsetof(struct reporter_settings, it)
#define LOOKUP(field) SCOPE_LOOKUP, .offset = offsetof(struct lookup_settings, field)
#define MAP(field) SCOPE_MAP, .offset = offsetof(struct map_config, field)

/* clang-format off */
const struct option options[] = {
	{ GLOBAL(mode), .name = "mode", .parse = parse_mode, .fallback = "enforce" },
	{ GLOBAL(lease_time_usec), .name = "lease_time", .parse = parse_duration,
		.fallback = "30min", .minimum = SECONDS(1), .maximum = SECONDS(86400) },
	{ GLOBAL(lease_time_max_usec), .name = "lease_time_max", .parse = parse_duration,
		.fallback = "4h", .minimum = SECONDS(1), .maximum = SECONDS(7 * 86400) },
	{ GLOBAL(ipv6_prefix), .name = "ipv6_prefix", .parse = parse_ipv6_prefix,
		.fallback = "128", .minimum = 48, .maximum = 128 },
	{ GLOBAL(lease_networks), .name = "lease_networks", .parse = parse_networks,
		.fallback = "0.0.0.0/0 ::/0", .is_list = true },
	{ GLOBAL(lease_special), .name = "lease_special", .parse = parse_networks,
		.fallback = "", .is_list = true },
	{ GLOBAL(never_lease), .name = "never_lease", .parse = parse_networks,
		.fallback = "", .is_list = true },
	{ GLOBAL(deny), .name = "deny", .parse = parse_networks,
		.fallback = "", .is_list = true },
	{ GLOBAL(never_lease_users), .name = "never_lease_users", .parse = parse_text_list,
		.fallback = "", .is_list = true },
	{ GLOBAL(reporters), .name = "reporters", .parse = parse_accounts,
		.fallback = "root drac-login drac-rpcd", .is_list = true },
	{ GLOBAL(max_leases), .name = "max_leases", .parse = parse_number,
		.fallback = "100000", .minimum = 1, .maximum = 10000000 },
	{ GLOBAL(max_leases_per_user), .name = "max_leases_per_user", .parse = parse_number,
		.fallback = "32", .minimum = 1, .maximum = 1000000 },
	{ GLOBAL(warn_users_per_address), .name = "warn_users_per_address",
		.parse = parse_number, .fallback = "20", .minimum = 2, .maximum = 1000000 },
	{ GLOBAL(revoke_hold_usec), .name = "revoke_hold", .parse = parse_duration,
		.fallback = "24h", .minimum = 0, .maximum = SECONDS(365 * 86400ULL) },
	{ GLOBAL(durability), .name = "durability", .parse = parse_durability,
		.fallback = "full" },
	{ GLOBAL(watchdog_usec), .name = "watchdog", .parse = parse_duration,
		.fallback = "10s", .minimum = 0, .maximum = SECONDS(3600) },
	{ GLOBAL(state_directory), .name = "state_directory", .parse = parse_needed_path,
		.fallback = "/var/lib/dracd" },
	{ GLOBAL(report.path), .name = "report_socket", .parse = parse_socket_path,
		.fallback = "/run/dracd/report" },
	{ GLOBAL(report.group), .name = "report_group", .parse = parse_report_group,
		.fallback = "drac-login" },
	{ GLOBAL(control.path), .name = "control_socket", .parse = parse_socket_path,
		.fallback = "/run/dracd/control" },
	{ GLOBAL(control.group), .name = "control_group", .parse = parse_group,
		.fallback = "" },
	{ GLOBAL(admin_group), .name = "admin_group", .parse = parse_any_group, .fallback = "" },

	{ SERVICE(lease), .name = "lease", .parse = parse_yes_no, .fallback = "yes" },
	{ SERVICE(lease_time_usec), .name = "lease_time", .parse = parse_duration,
		.fallback = "0", .minimum = 0, .maximum = SECONDS(86400) },

	{ REPORTER(max_leases), .name = "max_leases", .parse = parse_number_or_auto,
		.fallback = "auto", .minimum = 1, .maximum = 10000000 },
	{ REPORTER(max_rate), .name = "max_rate", .parse = parse_number_or_auto,
		.fallback = "auto", .minimum = 1, .maximum = 1000000 },
	{ REPORTER(lease_time_max_usec), .name = "lease_time_max", .parse = parse_duration,
		.fallback = "0", .minimum = 0, .maximum = SECONDS(7 * 86400) },

	{ LOOKUP(protocol), .name = "protocol", .parse = parse_protocol },
	{ LOOKUP(socket.path), .name = "path", .parse = parse_socket_path },
	{ LOOKUP(socket.group), .name = "group", .parse = parse_group, .fallback = "" },
	{ LOOKUP(socket.mode), .name = "mode", .parse = parse_file_mode, .fallback = "0660" },
	{ LOOKUP(view.services), .name = "services", .parse = parse_text_list,
		.fallback = "", .is_list = true },
	{ LOOKUP(view.networks), .name = "networks", .parse = parse_networks,
		.fallback = "", .is_list = true },

	{ MAP(type), .name = "type", .parse = parse_map_type },
	{ MAP(keys), .name = "keys", .parse = parse_key_form, .fallback = "auto" },
	{ MAP(nul), .name = "nul", .parse = parse_nul, .fallback = "auto" },
	{ MAP(value), .name = "value", .parse = parse_map_value, .fallback = "auto" },
	{ MAP(page_size), .name = "page_size", .parse = parse_page_size,
		.fallback = "auto", .minimum = 512, .maximum = 65536 },
	{ MAP(path), .name = "path", .parse = parse_path },
	{ MAP(group), .name = "group", .parse = parse_group, .fallback = "" },
	{ MAP(mode), .name = "mode", .parse = parse_file_mode, .fallback = "0644" },
	{ MAP(interval_usec), .name = "interval", .parse = parse_interval,
		.fallback = "auto", .minimum = 0, .maximum = SECONDS(60) },
	{ MAP(end_interval_usec), .name = "end_interval", .parse = parse_interval,
		.fallback = "auto", .minimum = 0, .maximum = SECONDS(60) },
	{ MAP(static_path), .name = "static", .parse = parse_path, .fallback = "" },
};
/* clang-format on */

const size_t option_count = sizeof(options) / sizeof(options[0]);

const char *option_scope_name(enum option_scope scope)
{
	static const char *const names[SCOPE_COUNT] = {
		[SCOPE_SERVICE] = "service",
		[SCOPE_REPORTER] = "reporter",
		[SCOPE_LOOKUP] = "lookup",
		[SCOPE_MAP] = "map",
	};

	return names[scope];
}
