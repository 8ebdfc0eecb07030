/* drac-rpcd(8): options, settings, and the gateway's life as a list of stages. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "rpc/allow.h"
#include "rpc/gateway.h"
#include "rpc/listen.h"
#include "rpc/log.h"
#include "rpc/rpcbind.h"
#include "rpc/transport.h"

struct arguments {
	const char *config_file;
	bool check_only;
};

struct service {
	const char *config_file;
	sd_event *event;
	struct prefix_list own;
	struct gateway *gateway;
	struct listen_sockets sockets;
	struct udp *udp[SOCKETS_MAX];
	struct tcp *tcp;
	struct rpcbind *rpcbind;
	bool is_stopping;
};

static void print_usage(FILE *to)
{
	fputs("usage: drac-rpcd [-dhtV] [-c drac.conf]\n"
	      "  -c FILE  configuration (" SETTINGS_FILE_DEFAULT "), then FILE.d/*.conf\n"
	      "  -d       log each call\n"
	      "  -t       check section rpc of the configuration and exit\n"
	      "  -V       print the version and exit\n",
		to);
}

/* Returns 0 to go on; else main() returns *ret_status. */
static int parse_arguments(int argc, char *argv[], struct arguments *ret, int *ret_status)
{
	int option;

	*ret = (struct arguments){.config_file = SETTINGS_FILE_DEFAULT};
	*ret_status = EXIT_SUCCESS;
	while ((option = getopt(argc, argv, "c:dhtV")) != -1) {
		switch (option) {
		case 'c':
			ret->config_file = optarg;
			break;
		case 'd':
			log_set_level(LOG_DEBUG);
			break;
		case 't':
			ret->check_only = true;
			break;
		case 'V':
			puts("drac-rpcd " DRACD_VERSION);
			return 1;
		case 'h':
			print_usage(stdout);
			return 1;
		default:
			print_usage(stderr);
			*ret_status = EXIT_FAILURE;
			return 1;
		}
	}
	if (optind == argc)
		return 0;
	print_usage(stderr);
	*ret_status = EXIT_FAILURE;
	return 1;
}

/* ---- settings ---- */

static void tell_problem(const char *problem, void *context)
{
	(void)context;
	log_message(LOG_ERR, "%s", problem);
}

static int load_settings(const char *file, struct settings *ret)
{
	int r = settings_load(file, ret, tell_problem, NULL);

	return r < 0 && r != -EINVAL ? log_errno(LOG_ERR, r, "cannot read %s", file) : r;
}

/* What "drac-rpcd -t" says of the file of callers does not decide its exit status: a line
 * that is of no use is none to DRAC either. */
static int check_only(const struct arguments *arguments)
{
	const struct prefix_list own = {0};
	struct settings settings;
	struct allow allow;
	int r;

	if (load_settings(arguments->config_file, &settings) < 0)
		return EXIT_FAILURE;
	r = gateway_load_allow(&settings, &own, &allow);
	if (r == 0) {
		printf("%s: no errors\n", arguments->config_file);
		allow_done(&allow);
	}
	settings_done(&settings);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- signals ---- */

static void reload(struct service *service)
{
	const struct settings *old = gateway_settings(service->gateway);
	struct settings settings;

	if (load_settings(service->config_file, &settings) < 0) {
		log_message(LOG_ERR, "not reloaded; the settings are as before");
		return;
	}
	if (!settings_same_start(old, &settings))
		log_message(LOG_WARNING,
			"listen, port, udp, rpcbind, max_connections and report_socket take effect at a restart");
	if (gateway_reload(service->gateway, &settings) < 0) {
		log_message(LOG_ERR, "not reloaded; the settings are as before");
		settings_done(&settings);
		return;
	}
	log_message(LOG_INFO, "reloaded");
}

static int on_hangup(
	sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	const struct service *service = userdata;
	struct timespec now;

	(void)source;
	(void)info;
	if (service->is_stopping)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
		(unsigned long long)now.tv_sec * 1000000 +
			(unsigned long long)now.tv_nsec / 1000);
	reload(userdata);
	(void)sd_notify(0, "READY=1");
	return 0;
}

/* What dracd has been told by now it may have granted, so no caller is told otherwise:
 * run() ends when all are answered. */
static int on_terminate(
	sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct service *service = userdata;

	(void)source;
	(void)info;
	if (service->is_stopping) /* it will not be long */
		return 0;
	(void)sd_notify(0, "STOPPING=1");
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		udp_stop(service->udp[i]);
	tcp_stop(service->tcp);
	service->is_stopping = true;
	return 0;
}

static int watch_signals(struct service *service)
{
	static const int signals[] = {SIGCHLD, SIGHUP, SIGINT, SIGTERM};
	sigset_t blocked;
	int r;

	sigemptyset(&blocked);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&blocked, signals[i]);
	if (sigprocmask(SIG_BLOCK, &blocked, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(service->event, NULL, SIGHUP, on_hangup, service);
	if (r >= 0)
		r = sd_event_add_signal(
			service->event, NULL, SIGTERM, on_terminate, service);
	if (r >= 0)
		r = sd_event_add_signal(
			service->event, NULL, SIGINT, on_terminate, service);
	return r < 0 ? r : sd_event_set_watchdog(service->event, 1);
}

/* ---- life ---- */

/* As many connections as are configured, if the system lets us have them. */
static void raise_descriptor_limit(unsigned connections_max)
{
	const rlim_t wanted = (rlim_t)connections_max + 128;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_transports(struct service *service)
{
	const struct settings *settings = gateway_settings(service->gateway);
	struct listen_sockets *sockets = &service->sockets;
	int r = listen_open(settings, sockets);

	if (r == 0)
		r = tcp_new(service->event, settings->max_connections, service->gateway,
			&service->tcp);
	for (size_t i = 0; i < sockets->count && r == 0; i++) {
		struct listen_socket *item = &sockets->items[i];
		int fd = item->fd;

		item->fd = -1;
		r = item->is_datagram ? udp_new(service->event, fd, service->gateway,
						&service->udp[i])
				      : tcp_add_listener(service->tcp, fd);
	}
	if (r == 0 && settings->rpcbind)
		r = rpcbind_new(service->event, sockets, &service->rpcbind);
	return r;
}

static int start(struct service *service)
{
	struct settings settings;
	int r = load_settings(service->config_file, &settings);

	if (r < 0)
		return r;
	raise_descriptor_limit(settings.max_connections);
	r = sd_event_default(&service->event);
	if (r >= 0)
		r = watch_signals(service);
	if (r >= 0)
		r = allow_own_addresses(&service->own);
	if (r < 0) {
		settings_done(&settings);
		return log_errno(LOG_ERR, r, "cannot start");
	}
	r = gateway_new(service->event, &settings, &service->own, &service->gateway);
	return r < 0 ? r : open_transports(service);
}

/* Until it is told to end and has answered every call that it had taken. */
static int run(struct service *service)
{
	int r = 0;

	log_message(LOG_INFO, "started version=" DRACD_VERSION " sockets=%zu",
		service->sockets.count);
	(void)sd_notify(0, "READY=1");
	while (r >= 0 && !(service->is_stopping && gateway_is_idle(service->gateway)))
		r = sd_event_run(service->event, UINT64_MAX);
	return r;
}

static void stop(struct service *service)
{
	if (!service->is_stopping)
		(void)sd_notify(0, "STOPPING=1");
	gateway_free(service->gateway);
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		udp_free(service->udp[i]);
	tcp_free(service->tcp);
	rpcbind_free(service->rpcbind);
	listen_close(&service->sockets);
	prefix_list_done(&service->own);
	sd_event_unref(service->event);
}

int main(int argc, char *argv[])
{
	struct service service = {0};
	struct arguments arguments;
	int r, status;

	if (parse_arguments(argc, argv, &arguments, &status) != 0)
		return status;
	if (arguments.check_only)
		return check_only(&arguments);
	service.config_file = arguments.config_file;
	r = start(&service);
	if (r >= 0)
		r = run(&service);
	stop(&service);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
