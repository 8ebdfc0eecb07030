/*
 * A DRAC server as libdrac sees it: by its report socket if it is dracd on this host,
 * else by Sun RPC over UDP.  Nothing in it waits longer than the caller's time allows,
 * but for the look-up of a name, whose time is the resolver's.
 *
 * No state of the process is touched but the sockets that are opened and closed again, so
 * that threads and forked processes do not get into each other's way.
 */
#ifndef CLIENT_DRAC_SERVER_H
#define CLIENT_DRAC_SERVER_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Where drac-rpcd listens unless it is told otherwise. */
#define DRAC_DEFAULT_PORT 10901

enum {
	DRAC_TEXT_SIZE = 512,
	DRAC_NAME_SIZE = 256,   /* of a name in DNS, RFC 1035 */
	DRAC_ADDRESSES_MAX = 4, /* of a server that are tried */
};

/* Of one call of the library: the environment, see dracauth(3), and the time that the
 * call has. */
struct drac_settings {
	long long deadline_ms; /* of drac_rpc_now_ms() */
	unsigned timeout_ms;
	unsigned port; /* 0: asked of rpcbind */
	char report_socket[sizeof(((struct sockaddr_un *)NULL)->sun_path)]; /* "": none */
};

struct drac_address {
	int family; /* AF_INET, AF_INET6 */
	unsigned char octets[16];
};

struct drac_server {
	char name[DRAC_NAME_SIZE];
	size_t address_count;
	struct sockaddr_storage addresses[DRAC_ADDRESSES_MAX]; /* without ports */
	bool is_this_host;
	bool is_found; /* rpc holds its address and port */
	struct sockaddr_storage rpc;
};

enum drac_result {
	DRAC_ADDED = 0,
	DRAC_REFUSED = 1,
	DRAC_FAILED = 2,
	DRAC_ODD_ANSWER = 3,
	DRAC_NO_SERVER = -1,
	DRAC_NO_ANSWER = -2,
};

/* Reads the environment; the time runs from here.  0, or -EINVAL with the reason in text.
 */
int drac_settings_read(struct drac_settings *ret, char text[static DRAC_TEXT_SIZE])
	__attribute__((warn_unused_result));

/* Looks up a server by its name or address.  0, or -ENOENT with the reason in text. */
int drac_server_init(struct drac_server *server, const char *name,
	char text[static DRAC_TEXT_SIZE]) __attribute__((warn_unused_result));

/* Whether it is there for addresses of the family: 0, or -ENOENT with the reason in
 * text. */
int drac_server_find(struct drac_server *server, int family,
	const struct drac_settings *settings, char text[static DRAC_TEXT_SIZE])
	__attribute__((warn_unused_result));

/* Tells it the address; finds it first if need be, and again if it has moved to another
 * port.  Returns the result; text is set if it is less than 0. */
enum drac_result drac_server_add(struct drac_server *server,
	const struct drac_address *address, const struct drac_settings *settings,
	char text[static DRAC_TEXT_SIZE]);

#endif
