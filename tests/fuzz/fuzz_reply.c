/*
 * What a DRAC server, or its rpcbind, answers to libdrac: datagrams from the network, to
 * libtirpc and to our half of it.  The first octet says which call it is; the others are
 * datagrams, each behind two octets of its length, the first of its octets standing for
 * the number of the call unless the length is odd.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "client/drac_rpc.h"
#include "tests/fuzz/fuzz.h"

enum {
	XID_SIZE = 4
};

static const uint8_t *waiting;
static size_t waiting_size;
static uint8_t xid[XID_SIZE];

/* These are called by libtirpc, and stand in front of those of the C library. */

ssize_t sendto(int fd, const void *data, size_t length, int flags,
	const struct sockaddr *to, socklen_t to_length)
{
	(void)fd;
	(void)flags;
	(void)to;
	(void)to_length;
	FUZZ_ASSERT(length >= 40 && length % 4 == 0);
	memcpy(xid, data, XID_SIZE);
	return (ssize_t)length;
}

ssize_t recvfrom(int fd, void *restrict data, size_t size, int flags,
	struct sockaddr *restrict from, socklen_t *restrict from_length)
{
	size_t length = waiting[0] * 256U + waiting[1], whole;

	(void)fd;
	(void)flags;
	(void)from;
	if (from_length)
		*from_length = 0;
	waiting += 2;
	waiting_size -= 2;
	whole = length < waiting_size ? length : waiting_size;
	length = whole < size ? whole : size;
	memcpy(data, waiting, length);
	if (length >= XID_SIZE && length % 2 == 0)
		memcpy(data, xid, XID_SIZE);
	waiting += whole;
	waiting_size -= whole;
	return (ssize_t)length;
}

/* Without datagrams there is none in time. */
int poll(struct pollfd *wanted, nfds_t count, int timeout)
{
	(void)timeout;
	if (count != 1 || waiting_size < 2)
		return 0;
	wanted->revents = POLLIN;
	return 1;
}

/* libtirpc 1.3 forgets the verifier, of at most 400 octets, of an answer that denies. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:xdr_bytes";
}

static struct sockaddr_storage server_of(int family)
{
	struct sockaddr_storage server = {.ss_family = (sa_family_t)family};

	if (family == AF_INET)
		((struct sockaddr_in *)&server)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&server)->sin6_addr = in6addr_loopback;
	return drac_rpc_with_port(&server, 9);
}

static void call(unsigned which)
{
	static const unsigned char octets[16] = {192, 0, 2, 7};
	const struct drac_program program = {.number = 900101, .version = 1 + which % 2};
	long long deadline_ms = drac_rpc_now_ms() + 1500;
	struct sockaddr_storage server = server_of(which % 8 == 4 ? AF_INET6 : AF_INET);
	int status = -1, r;
	unsigned port = 65536;

	switch (which % 8) {
	case 0:
	case 1:
		r = drac_rpc_add(&server, program.version, octets, deadline_ms, &status);
		break;
	case 2:
		r = drac_rpc_null(&server, &program, deadline_ms);
		break;
	default:
		r = drac_rpc_port(&server, &program, deadline_ms, &port);
		FUZZ_ASSERT(r != 0 || port < 65536);
	}
	FUZZ_ASSERT(drac_rpc_text(r) || r == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	waiting = data + 1;
	waiting_size = size - 1;
	call(data[0]);
	return 0;
}
