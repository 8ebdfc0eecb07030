/* Each change is one child process with a time limit. */
#include "rpc/rpcbind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <rpc/rpc.h>

#include "rpc/drac.h"
#include "rpc/log.h"
#include "rpc/prefix.h"

enum {
	CHILD_SECONDS = 5,
	RPCBIND_MINUTES = 5,
	RPCBIND_PORT = 111, /* RFC 1833 */
};

enum exit_status {
	EXIT_DONE,
	EXIT_NONE,   /* no rpcbind is there */
	EXIT_FOREIGN /* it has refused: another program's entry is in the way */
};

struct rpcbind {
	sd_event *event;
	const struct listen_sockets *sockets;
	sd_event_source *child, *timer;
	pid_t child_pid; /* of child */
	int last;        /* exit status; -1: none yet */
};

/* ---- in the child ---- */

static const char *netid_of(const struct listen_socket *item)
{
	if (IN6_IS_ADDR_V4MAPPED(&item->ip))
		return item->is_datagram ? "udp" : "tcp";
	return item->is_datagram ? "udp6" : "tcp6";
}

static bool set_entry(
	const struct listen_socket *item, rpcvers_t version, struct netconfig *config)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} name = {0};
	struct netbuf address = {.buf = &name};

	if (IN6_IS_ADDR_V4MAPPED(&item->ip)) {
		name.ipv4.sin_family = AF_INET;
		name.ipv4.sin_port = htons((uint16_t)item->port);
		memcpy(&name.ipv4.sin_addr, item->ip.s6_addr + 12, 4);
		address.len = sizeof(name.ipv4);
	} else {
		name.ipv6.sin6_family = AF_INET6;
		name.ipv6.sin6_port = htons((uint16_t)item->port);
		name.ipv6.sin6_addr = item->ip;
		address.len = sizeof(name.ipv6);
	}
	address.maxlen = address.len;
	if (rpcb_set(DRAC_PROGRAM, version, config, &address))
		return true;
	/* What is in the way may be of a gateway that was killed and had another port:
	 * rpcbind deletes it if it is of our account.  With no rpcbind there is nothing
	 * that either could do. */
	return rpcb_unset(DRAC_PROGRAM, version, config) &&
	       rpcb_set(DRAC_PROGRAM, version, config, &address);
}

/* To be asked after a failure: libtirpc of Debian 13 leaves in rpc_createerr what failed
 * on the way to an answer, too. */
static bool is_there(void)
{
	const struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_port = htons(RPCBIND_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is =
		fd >= 0 && connect(fd, (const struct sockaddr *)&name, sizeof(name)) == 0;

	if (fd >= 0)
		close(fd);
	return is;
}

/* Of several addresses of one kind the first is registered: rpcbind keeps one. */
static enum exit_status register_all(const struct listen_sockets *sockets)
{
	bool is_done = true;

	for (size_t i = 0; i < sockets->count; i++) {
		const char *netid = netid_of(&sockets->items[i]);
		struct netconfig *config = getnetconfigent(netid);
		bool is_second = false;

		for (size_t j = 0; j < i; j++)
			is_second |= strcmp(netid_of(&sockets->items[j]), netid) == 0;
		for (rpcvers_t version = DRAC_IPV4; version <= DRAC_IPV6; version++)
			if (config && !is_second)
				is_done &= set_entry(&sockets->items[i], version, config);
		if (config)
			freenetconfigent(config);
	}
	if (is_done)
		return EXIT_DONE;
	return is_there() ? EXIT_FOREIGN : EXIT_NONE;
}

static enum exit_status take_back(void)
{
	for (rpcvers_t version = DRAC_IPV4; version <= DRAC_IPV6; version++)
		(void)rpcb_unset(DRAC_PROGRAM, version, NULL);
	return EXIT_DONE;
}

/* ---- in the gateway ---- */

/* Returns the process id, or a negative errno. */
static pid_t start_child(const struct listen_sockets *sockets)
{
	sigset_t none;
	pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	/* A gateway that is killed and started again needs its addresses at once. */
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	/* systemd tells each process of a service to end, and a terminal each of a job;
	 * alarm() is the end of this one. */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)alarm(CHILD_SECONDS);
	_exit((int)(sockets ? register_all(sockets) : take_back()));
}

static void say(struct rpcbind *rpcbind, int status)
{
	if (status == rpcbind->last)
		return;
	rpcbind->last = status;
	if (status == EXIT_DONE)
		log_message(LOG_INFO, "registered with rpcbind");
	else if (status == EXIT_NONE)
		log_message(LOG_INFO,
			"rpcbind is not there; only clients that know the port find this gateway");
	else if (status == EXIT_FOREIGN)
		log_message(LOG_WARNING,
			"rpcbind does not register this gateway: another program's entry, such as rpc.dracd leaves behind, is in the way; see \"rpcinfo -p\", and delete it by \"rpcinfo -d %d 1\" and \"rpcinfo -d %d 2\" (tried again every %d min)",
			DRAC_PROGRAM, DRAC_PROGRAM, RPCBIND_MINUTES);
	else
		log_message(LOG_WARNING, "rpcbind does not answer");
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
	struct rpcbind *rpcbind = userdata;

	(void)source;
	rpcbind->child = sd_event_source_unref(rpcbind->child);
	say(rpcbind, info->si_code == CLD_EXITED ? info->si_status : EXIT_FOREIGN + 1);
	return 0;
}

static void register_now(struct rpcbind *rpcbind)
{
	pid_t pid;
	int r;

	if (rpcbind->child)
		return;
	pid = start_child(rpcbind->sockets);
	r = pid < 0 ? (int)pid
		    : sd_event_add_child(rpcbind->event, &rpcbind->child, pid, WEXITED,
			      on_child, rpcbind);
	if (r < 0)
		log_errno(LOG_WARNING, r, "cannot register with rpcbind");
	rpcbind->child_pid = pid;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	register_now(userdata);
	(void)sd_event_source_set_time(
		source, usec + RPCBIND_MINUTES * 60 * UINT64_C(1000000));
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int rpcbind_new(
	sd_event *event, const struct listen_sockets *sockets, struct rpcbind **ret)
{
	struct rpcbind *rpcbind = calloc(1, sizeof(*rpcbind));
	uint64_t now_usec;
	int r;

	if (!rpcbind)
		return -ENOMEM;
	rpcbind->event = event;
	rpcbind->sockets = sockets;
	rpcbind->last = -1;
	r = sd_event_now(event, CLOCK_BOOTTIME, &now_usec);
	if (r >= 0)
		r = sd_event_add_time(event, &rpcbind->timer, CLOCK_BOOTTIME, now_usec,
			1000000, on_timer, rpcbind);
	if (r < 0) {
		free(rpcbind);
		return r;
	}
	*ret = rpcbind;
	return 0;
}

/* Returns the exit status, or -1. */
static int await_child(pid_t pid)
{
	int status;
	pid_t r;

	if (pid < 0)
		return -1;
	do {
		r = waitpid(pid, &status, 0);
	} while (r < 0 && errno == EINTR);
	return r == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

struct rpcbind *rpcbind_free(struct rpcbind *rpcbind)
{
	if (!rpcbind)
		return NULL;
	sd_event_source_unref(rpcbind->timer);
	if (rpcbind->child) { /* a stop soon after the start: its work has to be undone */
		sd_event_source_unref(rpcbind->child);
		rpcbind->last = await_child(rpcbind->child_pid);
	}
	if (rpcbind->last == EXIT_DONE)
		(void)await_child(start_child(NULL));
	free(rpcbind);
	return NULL;
}
