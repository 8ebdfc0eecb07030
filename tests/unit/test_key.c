/* What keys an address has, by a table of what the MTAs were seen to look up, and by a
 * model of how Postfix and Sendmail cut a client's address. */
#include "maps/key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h> /* needs those before it */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* An address in either family; IPv4 becomes v4-mapped. */
static struct in6_addr address_of(const char *text)
{
	struct in6_addr address = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

	if (inet_pton(AF_INET, text, &address.s6_addr[12]) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, &address), 1);
	return address;
}

static const struct {
	enum key_form form;
	const char *address;
	unsigned length;
	const char *first; /* NULL: cannot be expressed */
	const char *second;
} spellings[] = {
	/* Postfix, check_client_access in an indexed file */
	{KEY_POSTFIX, "127.0.0.77", 128, "127.0.0.77", NULL},
	{KEY_POSTFIX, "::ffff:127.0.0.77", 128, "127.0.0.77", NULL},
	{KEY_POSTFIX, "127.0.0.77", 120, "127.0.0", NULL},
	{KEY_POSTFIX, "127.0.0.77", 112, "127.0", NULL},
	{KEY_POSTFIX, "127.0.0.77", 104, "127", NULL},
	{KEY_POSTFIX, "127.0.0.77", 96, NULL, NULL},
	{KEY_POSTFIX, "127.0.0.77", 127, NULL, NULL},
	{KEY_POSTFIX, "127.0.0.77", 121, NULL, NULL},
	{KEY_POSTFIX, "127.0.0.77", 64, NULL, NULL},
	{KEY_POSTFIX, "0.0.0.0", 120, "0.0.0", NULL},
	{KEY_POSTFIX, "2001:DB8:1:2:3:4:5:77", 128, "2001:db8:1:2:3:4:5:77", NULL},
	{KEY_POSTFIX, "2001:db8:1:2:3:4:5:77", 112, "2001:db8:1:2:3:4:5", NULL},
	{KEY_POSTFIX, "2001:db8:1:2:3:4:5:77", 96, "2001:db8:1:2:3:4", NULL},
	{KEY_POSTFIX, "2001:db8:1:2:3:4:5:77", 64, "2001:db8:1:2", NULL},
	{KEY_POSTFIX, "2001:db8:1:2:3:4:5:77", 48, "2001:db8:1", NULL},
	{KEY_POSTFIX, "2001:db8:1:2:3:4:5:77", 32, "2001:db8", NULL},
	{KEY_POSTFIX, "2001:db8:1:2:3:4:5:77", 16, "2001", NULL},
	{KEY_POSTFIX, "2001:db8:1:2:3:4:5:77", 0, NULL, NULL},
	{KEY_POSTFIX, "2001:db8:1:2:3:4:5:77", 56, NULL, NULL},
	{KEY_POSTFIX, "2001:db8:1:2:3:4:5:77", 127, NULL, NULL},
	{KEY_POSTFIX, "2001:db8:1::77", 128, "2001:db8:1::77", NULL},
	{KEY_POSTFIX, "2001:0db8:0001:0:0:0:0:0077", 128, "2001:db8:1::77", NULL},
	{KEY_POSTFIX, "::1", 128, "::1", NULL},
	{KEY_POSTFIX, "2001:db8::", 128, "2001:db8::", NULL},
	/* a single zero group is not compressed, the first of two equal runs is */
	{KEY_POSTFIX, "2001:db8:1:0:3:4:5:77", 128, "2001:db8:1:0:3:4:5:77", NULL},
	{KEY_POSTFIX, "2001:db8:0:0:3:0:0:77", 128, "2001:db8::3:0:0:77", NULL},
	/* the rule of two keys, and where it ends */
	{KEY_POSTFIX, "2001:db8:1:0::77", 64, "2001:db8:1:0", "2001:db8:1:"},
	{KEY_POSTFIX, "2001:db8:0:0::77", 64, "2001:db8:0:0", "2001:db8:"},
	{KEY_POSTFIX, "2001:db8:0:1::77", 64, "2001:db8:0:1", NULL},
	{KEY_POSTFIX, "2001:0:0:5::", 64, NULL, NULL},
	{KEY_POSTFIX, "fd00::77", 64, NULL, NULL},
	{KEY_POSTFIX, "fd00::77", 48, "fd00:0:0", "fd00:"},
	{KEY_POSTFIX, "fd00::77", 128, NULL, NULL},
	{KEY_POSTFIX, "fd00::", 128, "fd00::", NULL},
	{KEY_POSTFIX, "64:ff9b::", 16, NULL, NULL}, /* 64.0.0.0/8 */
	/* DRAC's own file, for both */
	{KEY_DRAC, "127.0.0.77", 128, "127.0.0.77", NULL},
	{KEY_DRAC, "127.0.0.77", 120, NULL, NULL},
	{KEY_DRAC, "2001:DB8:1::77", 128, "ipv6:2001:db8:1:0:0:0:0:77", "2001:db8:1::77"},
	{KEY_DRAC, "2001:db8:1:2:3:4:5:77", 128, "ipv6:2001:db8:1:2:3:4:5:77",
		"2001:db8:1:2:3:4:5:77"},
	{KEY_DRAC, "2001:db8:1::77", 64, NULL, NULL},
	{KEY_DRAC, "fd00::77", 128, NULL, NULL},
	/* Sendmail, FEATURE(drac): hosts only */
	{KEY_SENDMAIL, "127.0.0.77", 128, "127.0.0.77", NULL},
	{KEY_SENDMAIL, "127.0.0.77", 120, NULL, NULL},
	{KEY_SENDMAIL, "2001:DB8:1:2:3:4:5:77", 128, "2001:db8:1:2:3:4:5:77", NULL},
	{KEY_SENDMAIL, "2001:db8:1::77", 128, "2001:db8:1:0:0:0:0:77", NULL},
	{KEY_SENDMAIL, "2001:db8:1::77", 64, NULL, NULL},
	/* Sendmail, access database */
	{KEY_ACCESS, "127.0.0.77", 128, "connect:127.0.0.77", NULL},
	{KEY_ACCESS, "127.0.0.77", 120, "connect:127.0.0", NULL},
	{KEY_ACCESS, "127.0.0.77", 112, "connect:127.0", NULL},
	{KEY_ACCESS, "127.0.0.77", 104, "connect:127", NULL},
	{KEY_ACCESS, "127.0.0.77", 96, NULL, NULL},
	{KEY_ACCESS, "127.0.0.77", 126, NULL, NULL},
	{KEY_ACCESS, "2001:DB8:1:2:3:4:5:77", 128, "connect:ipv6:2001:db8:1:2:3:4:5:77",
		NULL},
	{KEY_ACCESS, "2001:db8:1::77", 128, "connect:ipv6:2001:db8:1:0:0:0:0:77", NULL},
	{KEY_ACCESS, "2001:db8:1::77", 64, "connect:ipv6:2001:db8:1:0", NULL},
	{KEY_ACCESS, "2001:db8:1::77", 48, "connect:ipv6:2001:db8:1", NULL},
	{KEY_ACCESS, "2001:db8:1::77", 16, "connect:ipv6:2001", NULL},
	{KEY_ACCESS, "2001:db8:1::77", 0, NULL, NULL},
	{KEY_ACCESS, "2001:db8:1::77", 60, NULL, NULL},
	{KEY_ACCESS, "fd00::77", 64, "connect:ipv6:fd00:0:0:0", NULL},
	{KEY_ACCESS, "ffff:eeee:dddd:cccc:bbbb:aaaa:9999:8888", 128,
		"connect:ipv6:ffff:eeee:dddd:cccc:bbbb:aaaa:9999:8888", NULL},
	/* Exim, net-dbm and net24-dbm, net64-dbm and the like */
	{KEY_EXIM, "127.0.0.77", 128, "127.0.0.77", NULL},
	{KEY_EXIM, "127.0.0.77", 120, "127.0.0.0/24", NULL},
	{KEY_EXIM, "127.0.0.77", 127, "127.0.0.76/31", NULL},
	{KEY_EXIM, "127.0.0.77", 96, NULL, NULL},
	{KEY_EXIM, "2001:DB8:1:2:3:4:5:77", 128,
		"2001.0db8.0001.0002.0003.0004.0005.0077", NULL},
	{KEY_EXIM, "2001:db8:1::77", 128, "2001.0db8.0001.0000.0000.0000.0000.0077",
		NULL},
	{KEY_EXIM, "2001:db8:1:2:3:4:5:77", 64,
		"2001.0db8.0001.0002.0000.0000.0000.0000/64", NULL},
	{KEY_EXIM, "2001:db8:1:2:3:4:5:77", 60,
		"2001.0db8.0001.0000.0000.0000.0000.0000/60", NULL},
	{KEY_EXIM, "::1", 128, "0000.0000.0000.0000.0000.0000.0000.0001", NULL},
	{KEY_EXIM, "::1", 0, NULL, NULL},
	{KEY_EXIM, "ffff:eeee:dddd:cccc:bbbb:aaaa:9999:8888", 127,
		"ffff.eeee.dddd.cccc.bbbb.aaaa.9999.8888/127", NULL},
	/* lists of addresses and networks */
	{KEY_PLAIN, "127.0.0.77", 128, "127.0.0.77", NULL},
	{KEY_PLAIN, "127.0.0.77", 120, "127.0.0.0/24", NULL},
	{KEY_PLAIN, "127.0.0.77", 97, "0.0.0.0/1", NULL},
	{KEY_PLAIN, "127.0.0.77", 96, NULL, NULL},
	{KEY_PLAIN, "2001:DB8:1:0:0:0:0:77", 128, "2001:db8:1::77", NULL},
	{KEY_PLAIN, "2001:db8:1:2:3:4:5:77", 64, "2001:db8:1:2::/64", NULL},
	{KEY_PLAIN, "2001:db8:1:2:3:4:5:77", 56, "2001:db8:1::/56", NULL},
	{KEY_PLAIN, "2001:db8:0:1:1:1:1:1", 128, "2001:db8:0:1:1:1:1:1", NULL},
	{KEY_PLAIN, "2001:db8::1:0:0:1", 128, "2001:db8::1:0:0:1", NULL},
	{KEY_PLAIN, "::1", 128, "::1", NULL},
	{KEY_PLAIN, "ffff:eeee:dddd:cccc:bbbb:aaaa:9999:8888", 127,
		"ffff:eeee:dddd:cccc:bbbb:aaaa:9999:8888/127", NULL},
	{KEY_PLAIN, "2001:db8::", 0, NULL, NULL},
};

static void spells_as_the_mtas_look_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(spellings); i++) {
		struct in6_addr address = address_of(spellings[i].address);
		struct keys keys = {.count = 77};
		int r = key_format(
			spellings[i].form, &address, spellings[i].length, &keys);

		if (!spellings[i].first) {
			assert_int_equal(r, -EOPNOTSUPP);
			assert_int_equal(keys.count, 77);
			continue;
		}
		assert_int_equal(r, 0);
		assert_int_equal(keys.count, spellings[i].second ? 2 : 1);
		assert_string_equal(keys.key[0], spellings[i].first);
		if (spellings[i].second)
			assert_string_equal(keys.key[1], spellings[i].second);
	}
}

static void refuses_an_impossible_length(void **state)
{
	struct in6_addr address = address_of("192.0.2.1");
	struct keys keys;

	(void)state;
	assert_int_equal(key_format(KEY_ACCESS, &address, 129, &keys), -EINVAL);
}

static void spells_compatible_addresses_as_getnameinfo(void **state)
{
	struct in6_addr address = address_of("::1.2.3.4");
	char text[INET6_ADDRSTRLEN];
	struct keys keys;

	(void)state;
	assert_non_null(inet_ntop(AF_INET6, &address, text, sizeof(text)));
	assert_int_equal(key_format(KEY_POSTFIX, &address, 128, &keys), 0);
	assert_string_equal(keys.key[0], text);
	assert_int_equal(key_format(KEY_SENDMAIL, &address, 128, &keys), 0);
	assert_string_equal(keys.key[0], "0:0:0:0:0:0:102:304");
}

static void names_its_forms(void **state)
{
	enum key_form form;

	(void)state;
	for (unsigned i = 0; i < KEY_FORM_COUNT; i++) {
		const bool is_sendmail = i == KEY_SENDMAIL || i == KEY_ACCESS;

		assert_int_equal(key_form_parse(key_form_name(i), &form), 0);
		assert_int_equal(form, i);
		assert_string_equal(key_form_value(i), is_sendmail ? "RELAY" : "OK");
	}
	assert_int_equal(key_form_parse("exim4", &form), -EINVAL);
	assert_int_equal(key_form_parse("", &form), -EINVAL);
}

static bool has_key(const struct keys *keys, const char *text)
{
	for (unsigned i = 0; i < keys->count; i++)
		if (strcmp(keys->key[i], text) == 0)
			return true;
	return false;
}

/* Postfix: the text of the address, and what is left of it by cutting at the last ':'. */
static bool postfix_finds(const struct keys *keys, const struct in6_addr *client)
{
	char text[INET6_ADDRSTRLEN];

	assert_non_null(inet_ntop(AF_INET6, client, text, sizeof(text)));
	for (;;) {
		char *cut;

		if (has_key(keys, text))
			return true;
		cut = strrchr(text, ':');
		if (!cut)
			return false;
		*cut = '\0';
	}
}

static bool is_inside(
	const struct in6_addr *address, const struct in6_addr *prefix, unsigned bits)
{
	return memcmp(address, prefix, bits / 8) == 0;
}

/* Addresses with many zero groups, many of them alike. */
static struct in6_addr random_address(void)
{
	static const uint16_t groups[] = {0, 0, 0, 1, 5};
	struct in6_addr address = {0};

	address.s6_addr[0] = 0x20;
	address.s6_addr[1] = (uint8_t)(random() % 2);
	for (unsigned i = 1; i < 8; i++)
		address.s6_addr[2 * i + 1] = (uint8_t)groups[random() % 5];
	return address;
}

static void postfix_networks_admit_exactly_their_clients(void **state)
{
	unsigned expressed = 0, found = 0;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 30000; i++) {
		struct in6_addr prefix = random_address();
		unsigned bits = 16 * (1 + (unsigned)random() % 7);
		struct keys keys;

		if (key_format(KEY_POSTFIX, &prefix, bits, &keys) < 0)
			continue;
		expressed++;
		for (unsigned j = 0; j < 40; j++) {
			struct in6_addr client = random_address();

			if (j % 2)
				memcpy(&client, &prefix, bits / 8);
			assert_int_equal(postfix_finds(&keys, &client),
				is_inside(&client, &prefix, bits));
			found += is_inside(&client, &prefix, bits);
		}
	}
	assert_true(expressed > 1000 && found > 1000);
}

/* The known limit: not exactly the host, but never beyond its /64. */
static void postfix_hosts_admit_nobody_outside_their_64(void **state)
{
	unsigned found = 0;

	(void)state;
	srandom(2);
	for (unsigned i = 0; i < 300000; i++) {
		struct in6_addr host = random_address(), client = random_address();
		struct keys keys;

		if (i % 2)
			memcpy(&client, &host, 4);
		if (key_format(KEY_POSTFIX, &host, 128, &keys) < 0)
			continue;
		assert_true(postfix_finds(&keys, &host));
		if (postfix_finds(&keys, &client)) {
			assert_true(is_inside(&client, &host, 64));
			found++;
		}
	}
	assert_true(found > 100);
}

/* Sendmail: every group, and cutting at the last ':'. */
static void access_networks_admit_exactly_their_clients(void **state)
{
	(void)state;
	srandom(3);
	for (unsigned i = 0; i < 30000; i++) {
		struct in6_addr prefix = random_address(), client = random_address();
		unsigned bits = 16 * (1 + (unsigned)random() % 8);
		struct keys wanted, asked;
		bool found = false;

		if (i % 2)
			memcpy(&client, &prefix, bits / 8);
		assert_int_equal(key_format(KEY_ACCESS, &prefix, bits, &wanted), 0);
		assert_int_equal(key_format(KEY_ACCESS, &client, 128, &asked), 0);
		for (unsigned level = 0; level < 8; level++) {
			found = found || has_key(&wanted, asked.key[0]);
			*strrchr(asked.key[0], ':') = '\0';
		}
		assert_int_equal(found, is_inside(&client, &prefix, bits));
	}
}

/* Exim: net64-dbm asks for the address masked to 64 bits, and net-dbm for all of it. */
static void exim_networks_admit_exactly_their_clients(void **state)
{
	(void)state;
	srandom(4);
	for (unsigned i = 0; i < 30000; i++) {
		struct in6_addr prefix = random_address(), client = random_address();
		unsigned bits = 16 * (1 + (unsigned)random() % 8);
		struct keys wanted, asked;

		if (i % 2)
			memcpy(&client, &prefix, bits / 8);
		assert_int_equal(key_format(KEY_EXIM, &prefix, bits, &wanted), 0);
		assert_int_equal(key_format(KEY_EXIM, &client, bits, &asked), 0);
		assert_int_equal(has_key(&wanted, asked.key[0]),
			is_inside(&client, &prefix, bits));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spells_as_the_mtas_look_up),
		cmocka_unit_test(refuses_an_impossible_length),
		cmocka_unit_test(spells_compatible_addresses_as_getnameinfo),
		cmocka_unit_test(names_its_forms),
		cmocka_unit_test(postfix_networks_admit_exactly_their_clients),
		cmocka_unit_test(postfix_hosts_admit_nobody_outside_their_64),
		cmocka_unit_test(access_networks_admit_exactly_their_clients),
		cmocka_unit_test(exim_networks_admit_exactly_their_clients),
	};

	return cmocka_run_group_tests_name("key", tests, NULL, NULL);
}
