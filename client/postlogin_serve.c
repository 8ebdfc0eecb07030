/*
 * Served mode: run by Dovecot as a service, as its own programs are, without being linked
 * with its library.  What Dovecot expects of such a process stands in its lib-master; it
 * has had this shape from 2.2 to 2.4, and what does not fit it makes us refuse to start:
 *
 *   - the listening sockets are inherited, from descriptor 7, 8 or 9 on;
 *   - descriptor 5 is a pipe to the master: a status record must come within 30 s, and an
 *     error on it means that the master has gone or has loaded a new configuration;
 *   - a connection that the master has accepted already may wait as descriptor 8.
 *
 * The one status record says that all of CLIENT_LIMIT is free and is never changed, so
 * the master leaves every connection to this one process.  It therefore holds us idle at
 * any time: SIGINT, by which it ends idle processes, lets the logins under way finish.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/postlogin.h"
#include "client/postlogin_connection.h"
#include "client/postlogin_message.h"

enum {
	STATUS_FD = 5,
	ACCEPTED_FD = 8,
	SCAN_FIRST_FD = 3,
	SCAN_LAST_FD = 63,
	LISTENERS_MAX = 8,
	CONNECTIONS_MAX = 4096,
	PAUSE_MS = 100, /* when descriptors or memory have run out */
};

/* Places in the poll set before those of the connections. */
enum {
	POLL_STATUS,
	POLL_SIGNALS,
	POLL_SPARE,
	POLL_LISTENERS,
	POLL_CONNECTIONS = POLL_LISTENERS + LISTENERS_MAX,
};

/* What Dovecot's master reads from STATUS_FD: struct master_status of its lib-master. */
struct status_record {
	pid_t pid;
	unsigned uid; /* not of an account: it names this process to the master */
	unsigned available_count;
};

struct server {
	const struct postlogin_options *options;
	int listeners[LISTENERS_MAX];
	unsigned listener_count;
	int signals; /* a signalfd */
	int spare;   /* a connection to dracd for the next login; -1 */
	bool stopping;
	long long accept_pause_ms; /* accept nothing before this time */
	unsigned limit;            /* of connections at once */
	unsigned count;
	struct connection **connections; /* [limit] */
	struct pollfd *polled;           /* [POLL_CONNECTIONS + limit] */
};

static long long monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* ---- start ----------------------------------------------------------------------------
 */

/* A socket must never become descriptor 2, where messages go. */
static void fill_standard_descriptors(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static int socket_number(int fd, int option)
{
	int value;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

static bool set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static void find_listeners(struct server *server)
{
	for (int fd = SCAN_FIRST_FD; fd <= SCAN_LAST_FD; fd++)
		if (server->listener_count < LISTENERS_MAX &&
			socket_number(fd, SO_ACCEPTCONN) == 1 &&
			socket_number(fd, SO_DOMAIN) == AF_UNIX && set_nonblocking(fd))
			server->listeners[server->listener_count++] = fd;
}

static bool read_number(const char *name, unsigned *ret)
{
	const char *text = getenv(name);
	unsigned long number;
	char *end;

	if (!text || *text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno != 0 || *end || number > 0xffffffffUL)
		return false;
	*ret = (unsigned)number;
	return true;
}

/* Fails with a message if the process was not started as Dovecot starts its services. */
static bool find_dovecot(struct server *server, struct status_record *ret_status)
{
	struct stat status;

	find_listeners(server);
	if (server->listener_count == 0) {
		postlogin_say(
			"--serve must be started by Dovecot, as the executable of a service "
			"with a unix_listener; no listening unix socket was found among the "
			"descriptors 3 to 63, see drac-postlogin(8)");
		return false;
	}
	if (fstat(STATUS_FD, &status) < 0 || !S_ISFIFO(status.st_mode) ||
		!read_number("GENERATION", &ret_status->uid) ||
		!read_number("CLIENT_LIMIT", &ret_status->available_count) ||
		ret_status->available_count == 0) {
		postlogin_say(
			"--serve must be started by Dovecot; descriptor 5 is not its status "
			"pipe or its variables GENERATION and CLIENT_LIMIT are missing. If "
			"this is Dovecot, use script-login mode, see drac-postlogin(8)");
		return false;
	}
	ret_status->pid = getpid();
	return true;
}

/* How many connections to hold: two descriptors each, one to either side. */
static unsigned choose_limit(unsigned client_limit)
{
	enum {
		OTHER_FILES = SCAN_LAST_FD + 1
	};

	unsigned limit = client_limit < CONNECTIONS_MAX ? client_limit : CONNECTIONS_MAX;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return limit;
	if (files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
		(void)getrlimit(RLIMIT_NOFILE, &files);
	}
	if (files.rlim_cur < OTHER_FILES + 2)
		return 1;
	if ((files.rlim_cur - OTHER_FILES) / 2 < limit)
		limit = (unsigned)((files.rlim_cur - OTHER_FILES) / 2);
	return limit;
}

/* Opened last: from here on nothing fails. */
static bool prepare(struct server *server, unsigned client_limit)
{
	sigset_t ends;

	server->limit = choose_limit(client_limit);
	server->connections = calloc(server->limit, sizeof(struct connection *));
	server->polled = calloc(POLL_CONNECTIONS + server->limit, sizeof(struct pollfd));
	if (!server->connections || !server->polled)
		return false;
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &ends, NULL) < 0)
		return false;
	server->signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
	return server->signals >= 0;
}

static bool send_status(const struct status_record *record)
{
	ssize_t n;

	do {
		n = write(STATUS_FD, record, sizeof(*record));
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(*record);
}

static void warn(const struct postlogin_options *options)
{
	if (options->problem)
		postlogin_say("%s; logins go on and are not reported", options->problem);
	if (geteuid() == 0)
		postlogin_say("running as root; give the Dovecot service a user and "
			      "drop_priv_before_exec = yes, see drac-postlogin(8)");
}

/* ---- the loop -------------------------------------------------------------------------
 */

/* Takes over a connection from Dovecot; its request is mostly there already. */
static void add_connection(struct server *server, int fd, long long now_ms)
{
	struct connection *connection =
		connection_new(fd, server->options, &server->spare, now_ms);

	if (!connection) {
		postlogin_say("out of memory; a login is not let in");
		return;
	}
	if (connection_run(connection, now_ms))
		server->connections[server->count++] = connection;
	else
		connection_free(connection);
}

/* Dovecot 2.4.2 and later, with client_limit = 1: the first connection is here already.
 */
static void add_accepted(struct server *server)
{
	if (!getenv("DOVECOT_ACCEPTED_CLIENT_LISTENER_FD"))
		return;
	if (socket_number(ACCEPTED_FD, SO_ACCEPTCONN) != 0 ||
		socket_number(ACCEPTED_FD, SO_DOMAIN) != AF_UNIX ||
		!set_nonblocking(ACCEPTED_FD)) {
		postlogin_say(
			"descriptor 8 is not the connection that Dovecot says it has "
			"accepted; set client_limit above 1");
		return;
	}
	(void)fcntl(ACCEPTED_FD, F_SETFD, FD_CLOEXEC);
	add_connection(server, ACCEPTED_FD, monotonic_ms());
}

/* One at a time: mostly there is no other, and if there is, the poll says so. */
static void accept_connection(struct server *server, int listener, long long now_ms)
{
	int fd;

	if (server->count == server->limit)
		return;
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		add_connection(server, fd, now_ms);
	} else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN) {
		postlogin_say("cannot accept a connection: %s", strerror(errno));
		server->accept_pause_ms = now_ms + PAUSE_MS;
	}
}

static void accept_connections(struct server *server, long long now_ms)
{
	for (unsigned i = 0; i < server->listener_count; i++)
		if (server->polled[POLL_LISTENERS + i].revents)
			accept_connection(server, server->listeners[i], now_ms);
}

/* The master, which holds the listening sockets too, has others to take what comes. */
static void stop(struct server *server, long long now_ms)
{
	server->stopping = true;
	for (unsigned i = 0; i < server->count; i++)
		connection_hurry(server->connections[i], now_ms);
}

static int wait_ms(long long wake_ms, long long now_ms)
{
	if (wake_ms <= now_ms)
		return 0;
	return wake_ms - now_ms < 60000 ? (int)(wake_ms - now_ms) : 60000;
}

/* Fills the poll set.  Returns for how long to wait at most; -1: for ever. */
static int fill_polled(struct server *server, long long now_ms)
{
	bool full = server->count == server->limit;
	bool accepting = !server->stopping && !full && now_ms >= server->accept_pause_ms;
	long long wake_ms = -1;

	server->polled[POLL_STATUS] = (struct pollfd){
		.fd = server->stopping ? -1 : STATUS_FD,
	};
	server->polled[POLL_SIGNALS] = (struct pollfd){
		.fd = server->stopping ? -1 : server->signals,
		.events = POLLIN,
	};
	/* dracd says nothing unasked: what there is to read is its end */
	server->polled[POLL_SPARE] = (struct pollfd){
		.fd = server->spare,
		.events = POLLIN,
	};
	for (unsigned i = 0; i < LISTENERS_MAX; i++)
		server->polled[POLL_LISTENERS + i] = (struct pollfd){
			.fd = accepting && i < server->listener_count
				      ? server->listeners[i]
				      : -1,
			.events = POLLIN,
		};
	if (!accepting && !server->stopping && !full)
		wake_ms = server->accept_pause_ms;
	for (unsigned i = 0; i < server->count; i++) {
		long long own_ms = connection_wake_ms(server->connections[i]);

		server->polled[POLL_CONNECTIONS + i] =
			connection_events(server->connections[i]);
		if (wake_ms < 0 || own_ms < wake_ms)
			wake_ms = own_ms;
	}
	return wake_ms < 0 ? -1 : wait_ms(wake_ms, now_ms);
}

static void close_spare(struct server *server)
{
	close(server->spare);
	server->spare = -1;
}

static void run_connections(struct server *server, long long now_ms)
{
	/* from the end, so that the one which takes a free place has been run */
	for (unsigned i = server->count; i-- > 0;) {
		struct connection *connection = server->connections[i];

		if (!server->polled[POLL_CONNECTIONS + i].revents &&
			connection_wake_ms(connection) > now_ms)
			continue;
		if (connection_run(connection, now_ms))
			continue;
		connection_free(connection);
		server->connections[i] = server->connections[--server->count];
	}
}

static void run(struct server *server)
{
	while (!server->stopping || server->count > 0) {
		int timeout_ms = fill_polled(server, monotonic_ms());
		int ready = poll(
			server->polled, POLL_CONNECTIONS + server->count, timeout_ms);
		long long now_ms = monotonic_ms();

		if (ready < 0) {
			/* a signal that is none of ours, or memory is short */
			if (errno != EINTR)
				(void)poll(NULL, 0, PAUSE_MS);
			continue;
		}
		if (server->polled[POLL_SPARE].revents)
			close_spare(server);
		run_connections(server, now_ms);
		accept_connections(server, now_ms);
		if (server->polled[POLL_STATUS].revents ||
			server->polled[POLL_SIGNALS].revents)
			stop(server, now_ms);
	}
}

int postlogin_serve(const struct postlogin_options *options)
{
	struct server server = {.options = options, .signals = -1, .spare = -1};
	struct status_record status;
	int exit_status = EXIT_FAILURE;

	fill_standard_descriptors();
	if (!find_dovecot(&server, &status))
		return EXIT_FAILURE;
	warn(options);
	if (!prepare(&server, status.available_count)) {
		postlogin_say("cannot start: %s", strerror(errno));
	} else if (!send_status(&status)) {
		postlogin_say(
			"cannot tell Dovecot that we are ready: %s", strerror(errno));
	} else {
		add_accepted(&server);
		run(&server);
		exit_status = EXIT_SUCCESS;
	}
	if (server.signals >= 0)
		close(server.signals);
	if (server.spare >= 0)
		close(server.spare);
	free(server.connections);
	free(server.polled);
	return exit_status;
}
