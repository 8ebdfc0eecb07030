/*
 * libtirpc's datagram client, which retransmits and matches answers to calls, on a
 * connected socket: so that the absence of a server is known at once from ICMP.
 *
 * clnt_create(3) is not used.  It asks rpcbind in several ways one after another, each
 * with a time limit of its own, and so its time has no bound that can be set.
 */
#include "client/drac_rpc.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>
#include <rpc/rpc.h>

#include <rpc/pmap_prot.h>
#include <rpc/rpcb_prot.h>

#include "drac.h"

enum {
	RETRANSMIT_MS = 1000
};

struct exchange {
	rpcproc_t procedure;
	xdrproc_t encode, decode;
	void *argument, *result;
};

long long drac_rpc_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static struct timeval timeval_of_ms(long long ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static socklen_t length_of(const struct sockaddr_storage *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					     : sizeof(struct sockaddr_in6);
}

struct sockaddr_storage drac_rpc_with_port(
	const struct sockaddr_storage *address, unsigned port)
{
	struct sockaddr_storage copy = *address;

	if (copy.ss_family == AF_INET)
		((struct sockaddr_in *)&copy)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)&copy)->sin6_port = htons((uint16_t)port);
	return copy;
}

/* A socket that is connected to the server, or a negative errno. */
static int connect_to(const struct sockaddr_storage *server)
{
	int fd = socket(server->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 &&
		connect(fd, (const struct sockaddr *)server, length_of(server)) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd < 0 ? -errno : fd;
}

/* 0 or a negative errno. */
static int create_client(const struct sockaddr_storage *server,
	const struct drac_program *program, CLIENT **ret)
{
	struct sockaddr_storage copy = *server;
	struct netbuf address = {
		.buf = &copy, .len = length_of(server), .maxlen = length_of(server)};
	int fd = connect_to(server), yes = 1;

	if (fd < 0)
		return fd;
	*ret = clnt_dg_create(fd, &address, (rpcprog_t)program->number,
		(rpcvers_t)program->version, 0, 0);
	if (!*ret) {
		close(fd);
		return -ENOMEM;
	}
	(void)clnt_control(*ret, CLSET_FD_CLOSE, NULL);
	(void)clnt_control(*ret, CLSET_CONNECT, (char *)&yes);
	return 0;
}

static int result_of(CLIENT *client, enum clnt_stat status)
{
	struct rpc_err error = {.re_status = RPC_SUCCESS};

	if (status != RPC_CANTSEND && status != RPC_CANTRECV)
		return (int)status;
	clnt_geterr(client, &error);
	return error.re_errno > 0 ? -error.re_errno : (int)status;
}

const char *drac_rpc_text(int result)
{
	if (result == -ECONNREFUSED)
		return "nobody listens there";
	return result < 0 ? strerrordesc_np(-result)
			  : clnt_sperrno((enum clnt_stat)result);
}

static int call(const struct sockaddr_storage *server, const struct drac_program *program,
	const struct exchange *exchange, long long deadline_ms)
{
	long long left_ms = deadline_ms - drac_rpc_now_ms();
	struct timeval total = timeval_of_ms(left_ms);
	struct timeval retransmit = timeval_of_ms(RETRANSMIT_MS);
	enum clnt_stat status;
	CLIENT *client;
	int r;

	if (left_ms <= 0)
		return RPC_TIMEDOUT;
	r = create_client(server, program, &client);
	if (r < 0)
		return r;
	(void)clnt_control(client, CLSET_TIMEOUT, (char *)&total);
	(void)clnt_control(client, CLSET_RETRY_TIMEOUT, (char *)&retransmit);
	status = clnt_call(client, exchange->procedure, exchange->encode,
		exchange->argument, exchange->decode, exchange->result, total);
	r = result_of(client, status);
	clnt_destroy(client);
	return r;
}

int drac_rpc_null(const struct sockaddr_storage *server,
	const struct drac_program *program, long long deadline_ms)
{
	const struct exchange exchange = {
		.procedure = NULLPROC,
		.encode = (xdrproc_t)(void (*)(void))xdr_void,
		.decode = (xdrproc_t)(void (*)(void))xdr_void,
	};

	return call(server, program, &exchange, deadline_ms);
}

int drac_rpc_add(const struct sockaddr_storage *server, unsigned long version,
	const unsigned char *octets, long long deadline_ms, int *ret_status)
{
	const struct drac_program program = {.number = DRAC_PROGRAM, .version = version};
	drac_address4 address4;
	drac_address6 address6;
	drac_status status = DRAC_UNKNOWN;
	uint32_t word;
	struct exchange exchange = {
		.procedure = DRAC_ADD,
		.decode = (xdrproc_t)(void (*)(void))xdr_drac_status,
		.result = &status,
	};
	int r;

	if (version == DRAC_IPV4) {
		memcpy(&word, octets, sizeof(word));
		address4 = ntohl(word);
		exchange.encode = (xdrproc_t)(void (*)(void))xdr_drac_address4;
		exchange.argument = &address4;
	} else {
		memcpy(address6.octets, octets, sizeof(address6.octets));
		exchange.encode = (xdrproc_t)(void (*)(void))xdr_drac_address6;
		exchange.argument = &address6;
	}
	r = call(server, &program, &exchange, deadline_ms);
	if (r == 0)
		*ret_status = (int)status;
	return r;
}

/* ---- rpcbind ---- */

/* Version 2, which the portmapper of an old server knows. */
static int ask_port_of_ipv4(const struct sockaddr_storage *rpcbind,
	const struct drac_program *program, long long deadline_ms, unsigned *ret)
{
	const struct drac_program portmapper = {PMAPPROG, PMAPVERS};
	struct pmap question = {
		.pm_prog = program->number,
		.pm_vers = program->version,
		.pm_prot = IPPROTO_UDP,
	};
	u_short port = 0;
	const struct exchange exchange = {
		.procedure = PMAPPROC_GETPORT,
		.encode = (xdrproc_t)(void (*)(void))xdr_pmap,
		.argument = &question,
		.decode = (xdrproc_t)(void (*)(void))xdr_u_short,
		.result = &port,
	};
	int r = call(rpcbind, &portmapper, &exchange, deadline_ms);

	if (r == 0)
		*ret = port;
	return r;
}

/* The port at the end of a universal address, "::1.42.149" (RFC 5665); 0 if none. */
static unsigned port_of_universal_address(const char *text)
{
	unsigned long part[2];
	const char *dot = strrchr(text, '.');
	char *end;

	while (dot && dot > text && *--dot != '.')
		;
	if (!dot || *dot != '.')
		return 0;
	part[0] = strtoul(dot + 1, &end, 10);
	if (*end != '.')
		return 0;
	part[1] = strtoul(end + 1, &end, 10);
	if (*end != '\0' || part[0] > 255 || part[1] > 255)
		return 0;
	return (unsigned)(part[0] << 8 | part[1]);
}

/* Version 3, the first that knows of IPv6. */
static int ask_port_of_ipv6(const struct sockaddr_storage *rpcbind,
	const struct drac_program *program, long long deadline_ms, unsigned *ret)
{
	const struct drac_program server = {PMAPPROG, RPCBVERS};
	char netid[] = "udp6", empty[] = "";
	char *address = NULL; /* the decoder's, to be freed */
	struct rpcb question = {
		.r_prog = (rpcprog_t)program->number,
		.r_vers = (rpcvers_t)program->version,
		.r_netid = netid,
		.r_addr = empty,
		.r_owner = empty,
	};
	const struct exchange exchange = {
		.procedure = RPCBPROC_GETADDR,
		.encode = (xdrproc_t)(void (*)(void))xdr_rpcb,
		.argument = &question,
		.decode = (xdrproc_t)(void (*)(void))xdr_wrapstring,
		.result = &address,
	};
	int r;

	r = call(rpcbind, &server, &exchange, deadline_ms);
	if (r == 0)
		*ret = address ? port_of_universal_address(address) : 0;
	free(address);
	return r;
}

int drac_rpc_port(const struct sockaddr_storage *host, const struct drac_program *program,
	long long deadline_ms, unsigned *ret_port)
{
	struct sockaddr_storage rpcbind = drac_rpc_with_port(host, PMAPPORT);

	return host->ss_family == AF_INET
		       ? ask_port_of_ipv4(&rpcbind, program, deadline_ms, ret_port)
		       : ask_port_of_ipv6(&rpcbind, program, deadline_ms, ret_port);
}
