/* drac.conf, on a host of the same accounts wherever this runs; "# not root" in its first
 * line has it read by another account than root. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dracd/config.h"
#include "tests/fuzz/fuzz.h"

static bool is_root, is_inside; /* else it is the fuzzer that asks */

gid_t __wrap_getegid(void);
uid_t __wrap_geteuid(void);
int __wrap_getgroups(int size, gid_t *ret);
struct group *__wrap_getgrnam(const char *name);
int __real_stat(const char *path, struct stat *ret);
int __wrap_stat(const char *path, struct stat *ret);

uid_t __wrap_geteuid(void)
{
	return is_root ? 0 : 1000;
}

gid_t __wrap_getegid(void)
{
	return is_root ? 0 : 1000;
}

int __wrap_getgroups(int size, gid_t *ret)
{
	FUZZ_ASSERT(size > 0);
	ret[0] = 101; /* smmsp */
	return 1;
}

struct group *__wrap_getgrnam(const char *name)
{
	static const char *const names[] = {"postfix", "smmsp", "root", "drac-login"};
	static const gid_t ids[] = {100, 101, 0, 103};
	static struct group group;

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (strcmp(names[i], name) == 0) {
			group.gr_gid = ids[i];
			return &group;
		}
	return NULL;
}

/* Every path is a directory, each another. */
int __wrap_stat(const char *path, struct stat *ret)
{
	if (!is_inside)
		return __real_stat(path, ret);
	*ret = (struct stat){.st_mode = S_IFDIR};
	for (const char *at = path; *at; at++)
		ret->st_ino = ret->st_ino * 31 + (unsigned char)*at;
	return 0;
}

/* The same file gives the same configuration: at a reload nothing has changed.  If
 * memory was short there is none, and never another. */
static void check_again(const char *path, const struct config *config)
{
	struct problems problems = {0};
	struct config *again = NULL;
	size_t before;

	FUZZ_ASSERT(config_load(path, &again, &problems) == 0);
	before = problems.count;
	config_compare(config, again, &problems);
	FUZZ_ASSERT(problems.count == before && problems.errors == 0);
	FUZZ_ASSERT(config->map_count == again->map_count);
	for (size_t i = 0; i < config->map_count; i++)
		FUZZ_ASSERT(config_same_map(&config->maps[i], &again->maps[i]));
	FUZZ_ASSERT(config->lookup_count == again->lookup_count);
	for (size_t i = 0; i < config->lookup_count; i++)
		FUZZ_ASSERT(config_same_lookup(&config->lookups[i], &again->lookups[i]));
	FUZZ_ASSERT(config->service_count == again->service_count);
	FUZZ_ASSERT(config->reporters.count == again->reporters.count);
	FUZZ_ASSERT(config->never_lease_users.count == again->never_lease_users.count);
	FUZZ_ASSERT(prefix_set_equal(&config->deny, &again->deny));
	FUZZ_ASSERT(prefix_set_equal(&config->never_lease, &again->never_lease));
	FUZZ_ASSERT(prefix_set_equal(&config->lease_networks, &again->lease_networks));
	FUZZ_ASSERT(prefix_set_equal(&config->lease_special, &again->lease_special));
	(void)config_reporter(config, getuid());
	(void)config_service(config, "imap");
	(void)config_shows_users(config);
	config_unref(again);
	problems_done(&problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool has_failed = fuzz_take_failure(data, &size);
	struct problems problems = {0};
	struct config *config = NULL;
	char path[64];
	int fd = memfd_create("config", MFD_CLOEXEC), r;

	is_root = size < 10 || memcmp(data, "# not root", 10) != 0;
	FUZZ_ASSERT(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	is_inside = true;
	r = config_load(path, &config, &problems);
	fuzz_fail_no_more();
	FUZZ_ASSERT((r == 0) == (config != NULL));
	FUZZ_ASSERT(has_failed || (r == 0) == (problems.errors == 0));
	for (size_t i = 0; i < problems.count; i++)
		FUZZ_ASSERT(problems.items[i].text && *problems.items[i].text);
	if (config)
		check_again(path, config);
	is_inside = false;
	config_unref(config);
	problems_done(&problems);
	close(fd);
	return 0;
}
