/*
 * The gateway's options: the section "rpc" of drac.conf and of the files of drac.conf.d.
 *
 * Of the rest of these files nothing is read here, and dracd reads nothing of this
 * section, so a mistake in the one never keeps the other from starting.
 */
#ifndef RPC_SETTINGS_H
#define RPC_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/prefix.h"

#define SETTINGS_FILE_DEFAULT "/etc/drac/drac.conf"

enum udp_use {
	UDP_LOCAL, /* on addresses of this host that are its own alone */
	UDP_YES,
	UDP_NO,
};

struct settings {
	/* these take effect at a start */
	struct prefix_list listen; /* hosts */
	unsigned port;
	enum udp_use udp;
	bool rpcbind;
	unsigned max_connections;
	char *report_socket;
	/* these at a reload too */
	char *allow_file;
	struct prefix_list callers;
	uint64_t lease_time_usec; /* 0: that of dracd */
	unsigned max_leases;
	unsigned max_rate; /* logins a second */
	bool refused_is_success;
};

/* The table of options, for the test that holds it and the manual together. */
struct setting {
	const char *name;
	/* Returns NULL, or what is wrong and what to do. */
	const char *(*parse)(
		const struct setting *setting, const char *text, void *field);
	size_t offset;
	const char *fallback; /* of a list: elements between spaces */
	unsigned minimum, maximum;
	bool is_list;
};

extern const struct setting settings_table[];
extern const size_t settings_count;

/* Called with each problem, which is a whole line: "drac.conf:12: port = x: ...". */
typedef void settings_tell(const char *problem, void *context);

/* Reads all files.  0 and *ret; -EINVAL after problems were told; -ENOMEM. */
int settings_load(const char *file, struct settings *ret, settings_tell *tell,
	void *context) __attribute__((warn_unused_result));

void settings_done(struct settings *settings);

/* True if both agree in what takes effect at a start only. */
bool settings_same_start(const struct settings *a, const struct settings *b);

/* Exchanges that between them. */
void settings_swap_start(struct settings *a, struct settings *b);

#endif
