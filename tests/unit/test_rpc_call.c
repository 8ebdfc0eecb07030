/* Messages of the DRAC protocol, octet by octet as they are on the wire. */
#include "rpc/call.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs those before it */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	XID = 0x01020304,
	PROGRAM = 900101,
};

struct message {
	size_t length;
	unsigned char data[2048];
};

static void add_word(struct message *message, uint32_t word)
{
	word = htonl(word);
	memcpy(message->data + message->length, &word, sizeof(word));
	message->length += sizeof(word);
}

static struct message header(uint32_t program, uint32_t version, uint32_t procedure)
{
	const uint32_t words[] = {XID, 0, 2, program, version, procedure, 0, 0, 0, 0};
	struct message message = {0};

	for (size_t i = 0; i < COUNT(words); i++)
		add_word(&message, words[i]);
	return message;
}

static struct message call_of(const char *address, uint32_t upper)
{
	unsigned char ip[16];
	struct message message;

	if (inet_pton(AF_INET, address, ip) == 1) {
		message = header(PROGRAM, 1, 1);
		memcpy(message.data + message.length, ip, 4);
		message.length += 4;
		return message;
	}
	assert_int_equal(inet_pton(AF_INET6, address, ip), 1);
	message = header(PROGRAM, 2, 1);
	for (unsigned i = 0; i < 16; i++)
		add_word(&message, upper | ip[i]);
	return message;
}

/* Decoded from memory that ends where the message does. */
static enum call_kind decode(
	const struct message *message, struct call *call, struct reply *reply)
{
	unsigned char *exact = malloc(message->length + !message->length);
	enum call_kind kind;

	assert_non_null(exact);
	memcpy(exact, message->data, message->length);
	memset(reply, 0, sizeof(*reply));
	kind = call_decode(exact, message->length, call, reply);
	free(exact);
	return kind;
}

static void expect_address(const struct message *message, const char *address)
{
	char text[INET6_ADDRSTRLEN];
	struct reply reply;
	struct call call;

	assert_int_equal(decode(message, &call, &reply), CALL_ADD);
	assert_int_equal(call.xid, XID);
	assert_string_equal(call_format_address(&call.address, text), address);
}

static void expect_reply(
	const struct message *message, size_t count, const uint32_t *words)
{
	struct message expected = {0};
	struct reply reply;
	struct call call;

	for (size_t i = 0; i < count; i++)
		add_word(&expected, words[i]);
	assert_int_equal(decode(message, &call, &reply), CALL_ANSWERED);
	assert_int_equal(reply.length, expected.length);
	assert_memory_equal(reply.data, expected.data, expected.length);
}

#define EXPECT_REPLY(message, ...)                                                       \
	do {                                                                             \
		const uint32_t words_[] = {__VA_ARGS__};                                 \
		expect_reply(message, COUNT(words_), words_);                            \
	} while (0)

static void an_ipv4_address_is_in_network_order(void **state)
{
	struct message message = call_of("192.168.1.1", 0);

	(void)state;
	assert_int_equal(message.length, 44);
	expect_address(&message, "192.168.1.1");
	message = call_of("255.255.255.255", 0);
	expect_address(&message, "255.255.255.255");
}

static void of_an_ipv6_octet_the_low_eight_bits_count(void **state)
{
	static const uint32_t uppers[] = {0, 0xffffff00, 0x12345600};

	(void)state;
	for (size_t i = 0; i < COUNT(uppers); i++) {
		struct message message = call_of("2001:db8::b8ff:80:7f", uppers[i]);

		assert_int_equal(message.length, 104);
		expect_address(&message, "2001:db8::b8ff:80:7f");
	}
}

static void a_mapped_address_is_its_ipv4_address(void **state)
{
	struct message message = call_of("::ffff:203.0.113.9", 0xffffff00);

	(void)state;
	expect_address(&message, "203.0.113.9");
}

static void what_follows_the_argument_is_passed_over(void **state)
{
	struct message message = call_of("203.0.113.9", 0);

	(void)state;
	while (message.length < sizeof(message.data))
		add_word(&message, 0xdeadbeef);
	expect_address(&message, "203.0.113.9");
}

static void procedure_0_is_answered(void **state)
{
	struct message message = header(PROGRAM, 1, 0);

	(void)state;
	EXPECT_REPLY(&message, XID, 1, 0, 0, 0, 0);
	message = header(PROGRAM, 2, 0);
	EXPECT_REPLY(&message, XID, 1, 0, 0, 0, 0);
}

static void other_programs_are_named_unavailable(void **state)
{
	struct message message = header(PROGRAM + 1, 1, 0);

	(void)state;
	EXPECT_REPLY(&message, XID, 1, 0, 0, 0, 1);
}

static void other_versions_are_told_the_right_ones(void **state)
{
	static const uint32_t versions[] = {0, 3, 0xffffffff};

	(void)state;
	for (size_t i = 0; i < COUNT(versions); i++) {
		struct message message = header(PROGRAM, versions[i], 1);

		EXPECT_REPLY(&message, XID, 1, 0, 0, 0, 2, 1, 2);
	}
}

static void other_procedures_are_named_unavailable(void **state)
{
	struct message message = header(PROGRAM, 1, 2);

	(void)state;
	EXPECT_REPLY(&message, XID, 1, 0, 0, 0, 3);
	message = header(PROGRAM, 2, 0x80000001);
	EXPECT_REPLY(&message, XID, 1, 0, 0, 0, 3);
}

static void an_argument_that_is_cut_short_is_garbage(void **state)
{
	static const char *const addresses[] = {"203.0.113.9", "2001:db8::1"};

	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		struct message message = call_of(addresses[i], 0);

		while (--message.length >= 40)
			EXPECT_REPLY(&message, XID, 1, 0, 0, 0, 4);
	}
}

static void a_header_that_is_cut_short_is_no_call(void **state)
{
	struct message message = header(PROGRAM, 1, 0);
	struct reply reply;
	struct call call;

	(void)state;
	while (message.length-- > 0)
		assert_int_equal(decode(&message, &call, &reply), CALL_NONE);
}

static void another_version_of_rpc_is_denied(void **state)
{
	struct message message = call_of("203.0.113.9", 0);

	(void)state;
	message.data[11] = 3;
	EXPECT_REPLY(&message, XID, 1, 1, 0, 2, 2);
	message.length = 12;
	EXPECT_REPLY(&message, XID, 1, 1, 0, 2, 2);
}

static void a_reply_is_no_call(void **state)
{
	struct message message = call_of("203.0.113.9", 0);
	struct reply reply;
	struct call call;

	(void)state;
	message.data[7] = 1;
	assert_int_equal(decode(&message, &call, &reply), CALL_NONE);
	message.data[4] = 0x80;
	assert_int_equal(decode(&message, &call, &reply), CALL_NONE);
}

/* A call with a credential of that flavour and length. */
static struct message with_credential(uint32_t flavour, uint32_t length, uint32_t said)
{
	const uint32_t words[] = {XID, 0, 2, PROGRAM, 1, 1, flavour, said};
	struct message message = {0};

	for (size_t i = 0; i < COUNT(words); i++)
		add_word(&message, words[i]);
	for (uint32_t i = 0; i < (length + 3) / 4; i++)
		add_word(&message, 0xaaaaaaaa);
	add_word(&message, 0);
	add_word(&message, 0);
	add_word(&message, 0xcb007109);
	return message;
}

static void credentials_are_passed_over(void **state)
{
	struct message message = with_credential(1, 400, 400);

	(void)state;
	expect_address(&message, "203.0.113.9");
	message = with_credential(0, 5, 5);
	expect_address(&message, "203.0.113.9");
}

static void an_unknown_kind_of_credential_is_refused(void **state)
{
	struct message message = with_credential(6, 8, 8);

	(void)state;
	EXPECT_REPLY(&message, XID, 1, 1, 1, 2);
}

static void a_credential_of_impossible_length_is_no_call(void **state)
{
	static const uint32_t lengths[] = {401, 0x7fffffff, 0x80000000, 0xffffffff};
	struct reply reply;
	struct call call;

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		struct message message = with_credential(1, 404, lengths[i]);

		assert_int_equal(decode(&message, &call, &reply), CALL_NONE);
	}
}

static void a_status_is_four_octets_after_the_header(void **state)
{
	static const enum call_status statuses[] = {
		CALL_STATUS_SUCCESS, CALL_STATUS_PERM, CALL_STATUS_SYSERR};

	(void)state;
	for (uint32_t i = 0; i < COUNT(statuses); i++) {
		const uint32_t words[] = {XID, 1, 0, 0, 0, 0, i};
		struct message expected = {0};
		struct reply reply;

		for (size_t j = 0; j < COUNT(words); j++)
			add_word(&expected, words[j]);
		call_answer(XID, statuses[i], &reply);
		assert_int_equal(reply.length, 28);
		assert_memory_equal(reply.data, expected.data, 28);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ipv4_address_is_in_network_order),
		cmocka_unit_test(of_an_ipv6_octet_the_low_eight_bits_count),
		cmocka_unit_test(a_mapped_address_is_its_ipv4_address),
		cmocka_unit_test(what_follows_the_argument_is_passed_over),
		cmocka_unit_test(procedure_0_is_answered),
		cmocka_unit_test(other_programs_are_named_unavailable),
		cmocka_unit_test(other_versions_are_told_the_right_ones),
		cmocka_unit_test(other_procedures_are_named_unavailable),
		cmocka_unit_test(an_argument_that_is_cut_short_is_garbage),
		cmocka_unit_test(a_header_that_is_cut_short_is_no_call),
		cmocka_unit_test(another_version_of_rpc_is_denied),
		cmocka_unit_test(a_reply_is_no_call),
		cmocka_unit_test(credentials_are_passed_over),
		cmocka_unit_test(an_unknown_kind_of_credential_is_refused),
		cmocka_unit_test(a_credential_of_impossible_length_is_no_call),
		cmocka_unit_test(a_status_is_four_octets_after_the_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
