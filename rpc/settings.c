/* The parsers of the gateway's options, and their table. */
#include "rpc/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define USEC_PER_SEC UINT64_C(1000000)

static const char *parse_number(
	const struct setting *setting, const char *text, void *field)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long number = strtoul(text, NULL, 10);

	if (digits == 0 || digits > 9 || text[digits])
		return "not a whole number";
	if (number < setting->minimum || number > setting->maximum)
		return "number out of range; see drac-rpcd(8)";
	*(unsigned *)field = (unsigned)number;
	return NULL;
}

static const char *parse_lease_time(
	const struct setting *setting, const char *text, void *field)
{
	static const struct {
		const char *unit;
		unsigned seconds;
	} units[] = {
		{"", 1}, {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}, {"d", 86400}};

	size_t digits = strspn(text, "0123456789");

	if (strcmp(text, "auto") == 0) {
		*(uint64_t *)field = 0;
		return NULL;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		uint64_t seconds = strtoull(text, NULL, 10) * units[i].seconds;

		if (digits == 0 || digits > 6 ||
			strcmp(text + digits, units[i].unit) != 0)
			continue;
		if (seconds < setting->minimum || seconds > setting->maximum)
			return "must be from 1s to 1d";
		*(uint64_t *)field = seconds * USEC_PER_SEC;
		return NULL;
	}
	return "not a duration; write 90s, 30min, 4h or auto";
}

static const char *parse_yes_no(
	const struct setting *setting, const char *text, void *field)
{
	(void)setting;
	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return "must be yes or no";
	*(bool *)field = text[0] == 'y';
	return NULL;
}

static const char *parse_udp(const struct setting *setting, const char *text, void *field)
{
	(void)setting;
	if (strcmp(text, "local") == 0)
		*(enum udp_use *)field = UDP_LOCAL;
	else if (strcmp(text, "yes") == 0)
		*(enum udp_use *)field = UDP_YES;
	else if (strcmp(text, "no") == 0)
		*(enum udp_use *)field = UDP_NO;
	else
		return "must be local, yes or no";
	return NULL;
}

static const char *parse_refused(
	const struct setting *setting, const char *text, void *field)
{
	(void)setting;
	if (strcmp(text, "success") != 0 && strcmp(text, "perm") != 0)
		return "must be success or perm";
	*(bool *)field = text[0] == 's';
	return NULL;
}

static const char *parse_networks(
	const struct setting *setting, const char *text, void *field)
{
	struct prefix prefix;
	int r = prefix_parse(text, &prefix);

	(void)setting;
	if (r == -ERANGE)
		return "host bits are set after the prefix length; write the network itself";
	if (r < 0)
		return "not an address or network; write 203.0.113.9, 10.0.0.0/8 or "
		       "2001:db8::/32";
	return prefix_list_add(field, &prefix) < 0 ? "out of memory" : NULL;
}

static const char *parse_hosts(
	const struct setting *setting, const char *text, void *field)
{
	if (strchr(text, '/'))
		return "must be an address; 0.0.0.0 and :: stand for all of this host";
	return parse_networks(setting, text, field);
}

static const char *parse_path(
	const struct setting *setting, const char *text, void *field)
{
	char **place = field;

	(void)setting;
	if (*text != '/')
		return "must be an absolute path";
	free(*place);
	*place = strdup(text);
	return *place ? NULL : "out of memory";
}

static const char *parse_socket(
	const struct setting *setting, const char *text, void *field)
{
	if (strlen(text) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return "too long for a unix socket";
	return parse_path(setting, text, field);
}

#define FIELD(field) .offset = offsetof(struct settings, field)

/* clang-format off */
const struct setting settings_table[] = {
	{ FIELD(listen), .name = "listen", .parse = parse_hosts,
		.fallback = "127.0.0.1 ::1", .is_list = true },
	{ FIELD(port), .name = "port", .parse = parse_number, .fallback = "10901",
		.minimum = 1, .maximum = 65535 },
	{ FIELD(udp), .name = "udp", .parse = parse_udp, .fallback = "local" },
	{ FIELD(rpcbind), .name = "rpcbind", .parse = parse_yes_no, .fallback = "yes" },
	{ FIELD(max_connections), .name = "max_connections", .parse = parse_number,
		.fallback = "1024", .minimum = 1, .maximum = 30000 },
	{ FIELD(report_socket), .name = "report_socket", .parse = parse_socket,
		.fallback = "/run/dracd/report" },
	{ FIELD(allow_file), .name = "allow_file", .parse = parse_path,
		.fallback = "/etc/drac/dracd.allow" },
	{ FIELD(callers), .name = "callers", .parse = parse_networks, .fallback = "",
		.is_list = true },
	{ FIELD(lease_time_usec), .name = "lease_time", .parse = parse_lease_time,
		.fallback = "auto", .minimum = 1, .maximum = 86400 },
	{ FIELD(max_leases), .name = "max_leases", .parse = parse_number,
		.fallback = "10000", .minimum = 1, .maximum = 1000000 },
	{ FIELD(max_rate), .name = "max_rate", .parse = parse_number, .fallback = "2000",
		.minimum = 1, .maximum = 1000000 },
	{ FIELD(refused_is_success), .name = "refused", .parse = parse_refused,
		.fallback = "success" },
};
/* clang-format on */

const size_t settings_count = sizeof(settings_table) / sizeof(settings_table[0]);

void settings_done(struct settings *settings)
{
	prefix_list_done(&settings->listen);
	prefix_list_done(&settings->callers);
	free(settings->report_socket);
	free(settings->allow_file);
	*settings = (struct settings){0};
}

bool settings_same_start(const struct settings *a, const struct settings *b)
{
	return a->port == b->port && a->udp == b->udp && a->rpcbind == b->rpcbind &&
	       a->max_connections == b->max_connections &&
	       strcmp(a->report_socket, b->report_socket) == 0 &&
	       a->listen.count == b->listen.count &&
	       memcmp(a->listen.items, b->listen.items,
		       a->listen.count * sizeof(*a->listen.items)) == 0;
}

static void take_start(struct settings *settings, const struct settings *from)
{
	settings->listen = from->listen;
	settings->port = from->port;
	settings->udp = from->udp;
	settings->rpcbind = from->rpcbind;
	settings->max_connections = from->max_connections;
	settings->report_socket = from->report_socket;
}

void settings_swap_start(struct settings *a, struct settings *b)
{
	const struct settings before = *a;

	take_start(a, b);
	take_start(b, &before);
}
