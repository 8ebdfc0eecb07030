/*
 * The RPC half of libdrac: calls over UDP, each with a socket of its own and a deadline.
 */
#ifndef CLIENT_DRAC_RPC_H
#define CLIENT_DRAC_RPC_H

#include <sys/socket.h>

/* Which service of an address: program and version of RFC 5531. */
struct drac_program {
	unsigned long number, version;
};

/* Now, in milliseconds of CLOCK_MONOTONIC; a deadline is such a time. */
long long drac_rpc_now_ms(void);

/* All return 0 and set their output; or a clnt_stat, which is greater than 0; or a
 * negative errno (-ECONNREFUSED: nobody listens there). */

/* What such a result means. */
const char *drac_rpc_text(int result);

/* address with another port. */
struct sockaddr_storage drac_rpc_with_port(
	const struct sockaddr_storage *address, unsigned port);

/* The port of program at the host, asked of its rpcbind; 0 if it has none. */
int drac_rpc_port(const struct sockaddr_storage *host, const struct drac_program *program,
	long long deadline_ms, unsigned *ret_port) __attribute__((warn_unused_result));

/* Procedure 0. */
int drac_rpc_null(const struct sockaddr_storage *server,
	const struct drac_program *program, long long deadline_ms)
	__attribute__((warn_unused_result));

/* DRACPROC_ADD with the octets of an address, of the family that the version is for. */
int drac_rpc_add(const struct sockaddr_storage *server, unsigned long version,
	const unsigned char *octets, long long deadline_ms, int *ret_status)
	__attribute__((warn_unused_result));

#endif
