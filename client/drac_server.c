/*
 * Finding a server: this host's dracd has a report socket; of others rpcbind tells the
 * port; and where no rpcbind knows it, the port of drac-rpcd is tried.
 */
#include "client/drac_server.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <rpc/rpc.h>

#include "client/drac_rpc.h"
#include "client/report.h"
#include "drac.h"

enum {
	TIMEOUT_MS = 5000,
	TIMEOUT_MS_MIN = 100,
	TIMEOUT_MS_MAX = 25000, /* what DRAC's own library would wait */
};

/* ---- settings ---- */

static int read_number(const char *name, unsigned min, unsigned max, unsigned *ret,
	char text[static DRAC_TEXT_SIZE])
{
	const char *value = secure_getenv(name);
	unsigned long number;
	char *end;

	if (!value)
		return 0;
	errno = 0;
	number = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || number < min ||
		number > max) {
		snprintf(text, DRAC_TEXT_SIZE,
			"%s in the environment is no number from %u to %u", name, min,
			max);
		return -EINVAL;
	}
	*ret = (unsigned)number;
	return 0;
}

int drac_settings_read(struct drac_settings *ret, char text[static DRAC_TEXT_SIZE])
{
	const char *path = secure_getenv("DRAC_REPORT_SOCKET");
	int r;

	*ret = (struct drac_settings){.timeout_ms = TIMEOUT_MS};
	if (!path)
		path = REPORT_SOCKET_PATH;
	if (strlen(path) >= sizeof(ret->report_socket)) {
		snprintf(text, DRAC_TEXT_SIZE,
			"DRAC_REPORT_SOCKET in the environment is longer than %zu octets",
			sizeof(ret->report_socket) - 1);
		return -EINVAL;
	}
	memcpy(ret->report_socket, path, strlen(path) + 1);
	r = read_number("DRAC_TIMEOUT_MS", TIMEOUT_MS_MIN, TIMEOUT_MS_MAX,
		&ret->timeout_ms, text);
	if (r == 0)
		r = read_number("DRAC_PORT", 1, 65535, &ret->port, text);
	ret->deadline_ms = drac_rpc_now_ms() + ret->timeout_ms;
	return r;
}

/* ---- which host it is ---- */

static bool is_same_address(const struct sockaddr *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4, *b4;
	const struct sockaddr_in6 *a6, *b6;

	if (a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_INET) {
		a4 = (const struct sockaddr_in *)a;
		b4 = (const struct sockaddr_in *)b;
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	}
	a6 = (const struct sockaddr_in6 *)a;
	b6 = (const struct sockaddr_in6 *)b;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	if (address->ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >>
			       24 ==
		       IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static bool is_of_this_host(const struct sockaddr_storage *address)
{
	struct ifaddrs *all;
	bool found = is_loopback(address);

	if (found || getifaddrs(&all) < 0)
		return found;
	for (const struct ifaddrs *one = all; one && !found; one = one->ifa_next)
		found = one->ifa_addr &&
			(one->ifa_addr->sa_family == AF_INET ||
				one->ifa_addr->sa_family == AF_INET6) &&
			is_same_address(one->ifa_addr, address);
	freeifaddrs(all);
	return found;
}

/* An IPv4-mapped address is one of IPv4: a server of old listens there only. */
static void add_address(struct drac_server *server, const struct sockaddr *address)
{
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)address;
	struct sockaddr_storage *ret = &server->addresses[server->address_count];
	struct sockaddr_in *ipv4 = (struct sockaddr_in *)ret;

	if (server->address_count == DRAC_ADDRESSES_MAX)
		return;
	server->address_count++;
	*ret = (struct sockaddr_storage){0};
	if (address->sa_family == AF_INET) {
		memcpy(ret, address, sizeof(*ipv4));
	} else if (IN6_IS_ADDR_V4MAPPED(&ipv6->sin6_addr)) {
		ipv4->sin_family = AF_INET;
		memcpy(&ipv4->sin_addr, ipv6->sin6_addr.s6_addr + 12, 4);
	} else {
		memcpy(ret, address, sizeof(*ipv6));
	}
	server->is_this_host |= is_of_this_host(ret);
}

/* Those of a family among what was found. */
static void add_family(
	struct drac_server *server, const struct addrinfo *found, int family)
{
	for (const struct addrinfo *one = found; one; one = one->ai_next)
		if (one->ai_family == family)
			add_address(server, one->ai_addr);
}

/* Looks the name up: getaddrinfo(3).  "localhost", which most programs say, is this host
 * in a root without /etc/hosts, too (RFC 6761 section 6.3). */
static int find_addresses(const char *name, struct addrinfo **ret)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};

	return strcasecmp(name, "localhost") == 0 ? getaddrinfo(NULL, "0", &hints, ret)
						  : getaddrinfo(name, NULL, &hints, ret);
}

/* IPv4 comes first: DRAC's library knows no other, so what permits a caller in the
 * dracd.allow of a site is its address of IPv4, and "localhost" is ::1 as well. */
int drac_server_init(
	struct drac_server *server, const char *name, char text[static DRAC_TEXT_SIZE])
{
	struct addrinfo *found;
	int r;

	*server = (struct drac_server){.address_count = 0};
	if (!name || strlen(name) >= sizeof(server->name)) {
		snprintf(text, DRAC_TEXT_SIZE, "the server's name is %s",
			name ? "too long" : "missing");
		return -ENOENT;
	}
	memcpy(server->name, name, strlen(name) + 1);
	r = find_addresses(name, &found);
	if (r != 0) {
		snprintf(text, DRAC_TEXT_SIZE, "%s: %s", name, gai_strerror(r));
		return -ENOENT;
	}
	add_family(server, found, AF_INET);
	add_family(server, found, AF_INET6);
	freeaddrinfo(found);
	return 0;
}

/* ---- by RPC ---- */

static unsigned long version_of(int family)
{
	return family == AF_INET ? DRAC_IPV4 : DRAC_IPV6;
}

/* Asks the rpcbind of each address.  0 and server->rpc is set, or a result of drac_rpc.h.
 */
static int ask_rpcbind(struct drac_server *server, const struct drac_program *program,
	long long slice_ms)
{
	int first = RPC_UNKNOWNHOST;

	for (size_t i = 0; i < server->address_count; i++) {
		unsigned port = 0;
		int r = drac_rpc_port(&server->addresses[i], program,
			drac_rpc_now_ms() + slice_ms, &port);

		if (r == 0 && port != 0) {
			server->rpc = drac_rpc_with_port(&server->addresses[i], port);
			return 0;
		}
		if (i == 0)
			first = r == 0 ? RPC_PROGNOTREGISTERED : r;
	}
	return first;
}

/* Tries the port at each address.  0 and server->rpc is set, or a result of drac_rpc.h.
 */
static int try_port(struct drac_server *server, const struct drac_program *program,
	unsigned port, long long slice_ms)
{
	int first = RPC_UNKNOWNHOST;

	for (size_t i = 0; i < server->address_count; i++) {
		struct sockaddr_storage rpc =
			drac_rpc_with_port(&server->addresses[i], port);
		int r = drac_rpc_null(&rpc, program, drac_rpc_now_ms() + slice_ms);

		if (r == 0) {
			server->rpc = rpc;
			return 0;
		}
		if (i == 0)
			first = r;
	}
	return first;
}

static int find_by_rpc(struct drac_server *server, int family,
	const struct drac_settings *settings, char text[static DRAC_TEXT_SIZE])
{
	const struct drac_program program = {DRAC_PROGRAM, version_of(family)};
	unsigned tries = (settings->port ? 1 : 2) * (unsigned)server->address_count;
	/* the last part is for the call itself */
	long long slice_ms = (settings->deadline_ms - drac_rpc_now_ms()) / (tries + 1);
	unsigned port = settings->port ? settings->port : DRAC_DEFAULT_PORT;
	int asked = 0, tried = 0;

	if (settings->port == 0) {
		asked = ask_rpcbind(server, &program, slice_ms);
		server->is_found = asked == 0;
	}
	if (!server->is_found) {
		tried = try_port(server, &program, port, slice_ms);
		server->is_found = tried == 0;
	}
	if (server->is_found)
		return 0;
	if (settings->port)
		snprintf(text, DRAC_TEXT_SIZE, "%s: port %u: %s", server->name, port,
			drac_rpc_text(tried));
	else
		snprintf(text, DRAC_TEXT_SIZE, "%s: rpcbind: %s; port %u: %s",
			server->name, drac_rpc_text(asked), port, drac_rpc_text(tried));
	return -ENOENT;
}

static enum drac_result add_by_rpc(struct drac_server *server,
	const struct drac_address *address, const struct drac_settings *settings,
	char text[static DRAC_TEXT_SIZE])
{
	int status;
	int r = drac_rpc_add(&server->rpc, version_of(address->family), address->octets,
		settings->deadline_ms, &status);

	if (r != 0) {
		snprintf(text, DRAC_TEXT_SIZE, "%s: %s", server->name, drac_rpc_text(r));
		return DRAC_NO_ANSWER;
	}
	return status >= DRAC_ADDED && status < DRAC_ODD_ANSWER ? (enum drac_result)status
								: DRAC_ODD_ANSWER;
}

/* ---- by the report socket ---- */

/* False if the library may not report there, or nobody listens: then it is RPC's turn. */
static bool is_answered(int outcome, const struct words *words)
{
	const char *reason;

	switch (outcome) {
	case REPORT_GRANTED:
	case REPORT_REFUSED:
		return true;
	case REPORT_REJECTED:
		reason = words_get(words, "reason");
		return !reason || strcmp(reason, "denied") != 0;
	case -ETIMEDOUT:
	case -EBADMSG:
		return true;
	default:
		return false;
	}
}

/* A refused address is answered as drac-rpcd does: as a success, since a client that is
 * told otherwise gives up reporting altogether (see drac-rpcd(8)). */
static enum drac_result result_of(int outcome, const struct words *words)
{
	const char *reason;

	switch (outcome) {
	case REPORT_GRANTED:
		return DRAC_ADDED;
	case REPORT_REFUSED:
		reason = words_get(words, "reason");
		return reason && strncmp(reason, "max_", 4) == 0 ? DRAC_FAILED
								 : DRAC_ADDED;
	case REPORT_REJECTED:
		return DRAC_FAILED;
	default:
		return DRAC_NO_ANSWER;
	}
}

static bool may_report(
	const struct drac_server *server, const struct drac_settings *settings)
{
	return server->is_this_host && settings->report_socket[0] != '\0';
}

/* True if there was an answer, or one is not to be hoped for elsewhere. */
static bool add_by_report(const struct drac_address *address,
	const struct drac_settings *settings, enum drac_result *ret,
	char text[static DRAC_TEXT_SIZE])
{
	char address_text[INET6_ADDRSTRLEN];
	const struct report_login login = {
		.address = inet_ntop(address->family, address->octets, address_text,
			sizeof(address_text)),
	};
	struct line answer;
	struct words words;
	int r = report_login(
		settings->report_socket, &login, settings->timeout_ms, &answer, &words);

	if (!is_answered(r, &words))
		return false;
	*ret = result_of(r, &words);
	if (*ret < 0)
		snprintf(text, DRAC_TEXT_SIZE, "%s: %s", settings->report_socket,
			strerrordesc_np(-r));
	return true;
}

static bool is_reporting(const struct drac_settings *settings)
{
	int fd = report_connect(settings->report_socket);

	if (fd >= 0)
		close(fd);
	return fd >= 0 || fd == -EAGAIN;
}

/* ---- both ---- */

int drac_server_find(struct drac_server *server, int family,
	const struct drac_settings *settings, char text[static DRAC_TEXT_SIZE])
{
	if (may_report(server, settings) && is_reporting(settings))
		return 0;
	return find_by_rpc(server, family, settings, text);
}

/* A server that was found before may have moved to another port since. */
static bool has_moved(
	struct drac_server *server, int family, const struct drac_settings *settings)
{
	struct sockaddr_storage before = server->rpc;
	char text[DRAC_TEXT_SIZE];

	server->is_found = false;
	return find_by_rpc(server, family, settings, text) == 0 &&
	       memcmp(&before, &server->rpc, sizeof(before)) != 0;
}

enum drac_result drac_server_add(struct drac_server *server,
	const struct drac_address *address, const struct drac_settings *settings,
	char text[static DRAC_TEXT_SIZE])
{
	bool was_found = server->is_found;
	enum drac_result result;

	if (may_report(server, settings) &&
		add_by_report(address, settings, &result, text))
		return result;
	if (!was_found && find_by_rpc(server, address->family, settings, text) < 0)
		return DRAC_NO_SERVER;
	result = add_by_rpc(server, address, settings, text);
	if (result == DRAC_NO_ANSWER && was_found &&
		has_moved(server, address->family, settings))
		result = add_by_rpc(server, address, settings, text);
	return result;
}
