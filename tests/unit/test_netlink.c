#include "dracd/netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

/* What the kernel says, datagram by datagram; recv(2) and sendto(2) below tell it. */
enum said {
	SAID_ADDRESS, /* one more address */
	SAID_TORN,    /* the same, and the dump is none of one moment */
	SAID_OTHER,   /* an address, but not the kernel has sent it */
	SAID_SHORT,   /* a message that says that it is longer than it is */
	SAID_ERROR,
	SAID_DONE,
	SAID_NOTHING,
};

static const enum said *script;
static unsigned asked, told;

ssize_t sendto(int fd, const void *data, size_t length, int flags,
	const struct sockaddr *to, socklen_t to_size)
{
	const struct nlmsghdr *question = data;

	(void)fd;
	(void)flags;
	(void)to;
	(void)to_size;
	assert_int_equal(question->nlmsg_type, RTM_GETADDR);
	assert_int_equal(question->nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
	asked++;
	return (ssize_t)length;
}

/* Nothing is left over from before. */
ssize_t recv(int fd, void *data, size_t size, int flags)
{
	(void)fd;
	(void)data;
	(void)size;
	(void)flags;
	errno = EAGAIN;
	return -1;
}

ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *from,
	socklen_t *from_size)
{
	const enum said said = *script;
	struct nlmsghdr header = {
		.nlmsg_len = NLMSG_LENGTH(0), .nlmsg_type = RTM_NEWADDR};
	const struct sockaddr_nl sender = {
		.nl_family = AF_NETLINK, .nl_pid = said == SAID_OTHER ? 4711 : 0};

	(void)fd;
	(void)size;
	(void)flags;
	if (said == SAID_NOTHING) {
		errno = EAGAIN;
		return -1;
	}
	script++;
	told++;
	header.nlmsg_seq = told;
	header.nlmsg_flags = said == SAID_TORN ? NLM_F_DUMP_INTR : 0;
	if (said == SAID_ERROR)
		header.nlmsg_type = NLMSG_ERROR;
	else if (said == SAID_DONE)
		header.nlmsg_type = NLMSG_DONE;
	if (said == SAID_SHORT)
		header.nlmsg_len++;
	memcpy(data, &header, sizeof(header));
	memcpy(from, &sender, sizeof(sender));
	*from_size = sizeof(sender);
	return sizeof(header);
}

/* 203.0.113.N for the Nth datagram. */
static int take(const struct nlmsghdr *message, struct prefix_set *ret)
{
	struct address address = address_of("203.0.113.0");

	address.ip.s6_addr[15] = (unsigned char)message->nlmsg_seq;
	return prefix_set_add(ret, &address);
}

/* Asks; what is found are the addresses of the datagrams from first to last. */
static void assert_answer(const enum said *says, int expected, unsigned questions,
	unsigned first, unsigned last)
{
	struct prefix_set found = {0};

	script = says;
	asked = told = 0;
	assert_int_equal(netlink_ask(0, RTM_GETADDR, take, &found), expected);
	assert_int_equal(asked, questions);
	if (expected == 0) {
		assert_int_equal(found.count, last + 1 - first);
		for (unsigned i = first; i <= last; i++) {
			struct address address = address_of("203.0.113.0");

			address.ip.s6_addr[15] = (unsigned char)i;
			assert_non_null(prefix_set_find(&found, &address));
		}
	}
	prefix_set_done(&found);
}

static void test_whole(void **state)
{
	static const enum said says[] = {SAID_ADDRESS, SAID_ADDRESS, SAID_DONE};

	(void)state;
	assert_answer(says, 0, 1, 1, 2);
}

static void test_what_is_torn_is_asked_for_again(void **state)
{
	static const enum said says[] = {SAID_ADDRESS, SAID_TORN, SAID_ADDRESS, SAID_DONE,
		SAID_ADDRESS, SAID_ADDRESS, SAID_DONE};

	(void)state;
	assert_answer(says, 0, 2, 5, 6);
}

static void test_what_goes_on_changing_is_not_taken(void **state)
{
	static const enum said says[] = {SAID_TORN, SAID_DONE, SAID_ADDRESS, SAID_TORN,
		SAID_DONE, SAID_TORN, SAID_DONE, SAID_ADDRESS, SAID_DONE};

	(void)state;
	assert_answer(says, -EAGAIN, 3, 0, 0);
}

static void test_others_are_not_heard(void **state)
{
	static const enum said says[] = {SAID_OTHER, SAID_ADDRESS, SAID_OTHER, SAID_DONE};

	(void)state;
	assert_answer(says, 0, 1, 2, 2);
}

static void test_errors(void **state)
{
	static const enum said error[] = {SAID_ADDRESS, SAID_ERROR, SAID_DONE};

	static const enum said is_short[] = {SAID_SHORT, SAID_DONE};

	static const enum said nothing[] = {SAID_ADDRESS, SAID_NOTHING};

	(void)state;
	assert_answer(error, -EIO, 1, 0, 0);
	assert_answer(is_short, -EIO, 1, 0, 0);
	assert_answer(nothing, -EAGAIN, 1, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_what_is_torn_is_asked_for_again),
		cmocka_unit_test(test_what_goes_on_changing_is_not_taken),
		cmocka_unit_test(test_others_are_not_heard),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests_name("netlink", tests, NULL, NULL);
}
