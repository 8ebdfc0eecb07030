/* drac.conf when memory is short: it is refused, and dracd goes on as it was. */
#include "tests/unit/config_world.h"

static unsigned until; /* the copy of a text that fails; 0: none */
static bool has_failed;

extern const char __executable_start[], etext[];

/* In front of the C library's; libconfuse, which calls it as well, is spared. */
char *strdup(const char *text)
{
	const char *caller = __builtin_return_address(0);
	const bool is_ours = caller >= __executable_start && caller < etext;
	size_t size = strlen(text) + 1;
	char *copy;

	if (is_ours && until > 0 && --until == 0) {
		has_failed = true;
		errno = ENOMEM;
		return NULL;
	}
	copy = malloc(size);
	return copy ? memcpy(copy, text, size) : NULL;
}

static const char good[] =
	"report_socket = \"/run/r\"\n"
	"never_lease_users = { \"a\", \"b\" }\n"
	"reporters = { \"0\" }\n"
	"service imap { lease = yes }\n"
	"lookup a { protocol = policy path = \"/run/a\" services = { \"imap\" } }\n"
	"map a { type = lmdb keys = postfix path = \"/m/a\" value = \"OK\" }\n";

/* Each copy of a text in turn. */
static void test_every_copy_fails_once(void **state)
{
	struct world *world = *state;
	unsigned failures = 0;

	for (unsigned n = 1;; n++) {
		int r;

		has_failed = false;
		write_file(world->file, good);
		world->config = config_unref(world->config);
		problems_done(&world->problems);
		until = n;
		r = config_load(world->file, &world->config, &world->problems);
		until = 0;
		if (!has_failed)
			break;
		failures++;
		assert_true(r == -ENOMEM || (r == -EINVAL && world->problems.errors > 0));
		assert_null(world->config);
	}
	assert_true(failures > 20);
	assert_non_null(world->config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_every_copy_fails_once),
	};

	return cmocka_run_group_tests_name("config_memory", tests, NULL, NULL);
}
