/* Replacement of one file, whatever it holds. */
#include "maps/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h> /* needs those before it */

struct world {
	char path[32];
	int directory;
};

static const struct replacement_mode plain = {.mode = 0644, .group = (gid_t)-1};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	snprintf(world->path, sizeof(world->path), "/tmp/dracd-test-XXXXXX");
	assert_non_null(mkdtemp(world->path));
	assert_int_equal(chmod(world->path, 0755), 0);
	assert_int_equal(replace_open_directory(world->path, &world->directory), 0);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	DIR *stream = opendir(world->path);
	struct dirent *entry;

	while ((entry = readdir(stream)))
		if (unlinkat(world->directory, entry->d_name, 0) < 0)
			(void)unlinkat(world->directory, entry->d_name, AT_REMOVEDIR);
	closedir(stream);
	close(world->directory);
	assert_int_equal(rmdir(world->path), 0);
	free(world);
	return 0;
}

static unsigned count_entries(const struct world *world)
{
	DIR *stream = opendir(world->path);
	unsigned count = 0;

	while (readdir(stream))
		count++;
	closedir(stream);
	return count - 2;
}

static void write_file(const struct world *world, const char *name, const char *text)
{
	int file = openat(
		world->directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(file, text, strlen(text)), strlen(text));
	close(file);
}

static void assert_text(const struct world *world, const char *name, const char *text)
{
	char buffer[64] = "";
	int file = openat(world->directory, name, O_RDONLY | O_CLOEXEC);

	assert_true(read(file, buffer, sizeof(buffer) - 1) >= 0);
	close(file);
	assert_string_equal(buffer, text);
}

static int replace_by(
	struct world *world, const char *name, const char *text, const char **ret_step)
{
	struct replacement replacement;
	struct stat status;

	assert_int_equal(replacement_begin(world->directory, name, &replacement), 0);
	assert_int_equal(write(replacement.file, text, strlen(text)), strlen(text));
	return replacement_commit(&replacement, &plain, &status, ret_step);
}

static void puts_a_new_file_in_place(void **state)
{
	struct world *world = *state;
	struct replacement replacement;
	struct stat made, found;
	const char *step;

	assert_int_equal(replacement_begin(world->directory, "m", &replacement), 0);
	assert_int_equal(fstat(replacement.file, &made), 0);
	assert_int_equal(made.st_mode & 07777, 0600);
	assert_int_equal(fcntl(replacement.file, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(replacement.file, "new", 3), 3);
	assert_int_equal(replacement_commit(&replacement, &plain, &made, &step), 0);
	assert_int_equal(replacement.file, -1);
	assert_int_equal(fstatat(world->directory, "m", &found, 0), 0);
	assert_int_equal(made.st_ino, found.st_ino);
	assert_int_equal(made.st_ctim.tv_nsec, found.st_ctim.tv_nsec);
	assert_int_equal(found.st_mode & 07777, 0644);
	assert_text(world, "m", "new");
	assert_int_equal(replace_by(world, "m", "newer", &step), 0);
	assert_text(world, "m", "newer");
	assert_int_equal(count_entries(world), 1);
}

static void an_aborted_one_leaves_nothing(void **state)
{
	struct world *world = *state;
	struct replacement replacement;

	write_file(world, "m", "old");
	assert_int_equal(replacement_begin(world->directory, "m", &replacement), 0);
	assert_int_equal(count_entries(world), 2);
	replacement_abort(&replacement);
	replacement_abort(&replacement);
	assert_int_equal(count_entries(world), 1);
	assert_text(world, "m", "old");
}

static void an_empty_file_is_never_put_in_place(void **state)
{
	struct world *world = *state;
	const char *step;

	write_file(world, "m", "old");
	assert_int_equal(replace_by(world, "m", "", &step), -ENODATA);
	assert_text(world, "m", "old");
	assert_int_equal(count_entries(world), 1);
}

static void only_a_file_is_replaced(void **state)
{
	struct world *world = *state;
	struct stat status;
	const char *step;
	int file;

	write_file(world, "target", "untouched");
	assert_int_equal(symlinkat("target", world->directory, "link"), 0);
	assert_int_equal(mkfifoat(world->directory, "fifo", 0600), 0);
	assert_int_equal(mkdirat(world->directory, "dir", 0700), 0);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = {"link", "fifo", "dir"};

		assert_int_equal(replace_by(world, names[i], "new", &step), -EPERM);
		assert_string_equal(step, "check old file");
		assert_int_equal(
			replace_open_current(world->directory, names[i], &file), -EPERM);
	}
	assert_text(world, "target", "untouched");
	assert_int_equal(
		fstatat(world->directory, "link", &status, AT_SYMLINK_NOFOLLOW), 0);
	assert_true(S_ISLNK(status.st_mode));
	assert_int_equal(
		replace_open_current(world->directory, "nothing", &file), -ENOENT);
	assert_int_equal(count_entries(world), 4);
}

static void what_was_swapped_is_not_put_in_place(void **state)
{
	enum {
		LINK,
		OTHER_FILE,
		NOTHING,
		COUNT
	};

	struct world *world = *state;

	write_file(world, "m", "old");
	write_file(world, "target", "outside");
	for (unsigned i = LINK; i < COUNT; i++) {
		struct replacement replacement;
		struct stat status;
		const char *step;

		assert_int_equal(
			replacement_begin(world->directory, "m", &replacement), 0);
		assert_int_equal(write(replacement.file, "new", 3), 3);
		assert_int_equal(unlinkat(world->directory, replacement.temporary, 0), 0);
		if (i == LINK)
			assert_int_equal(symlinkat("target", world->directory,
						 replacement.temporary),
				0);
		else if (i == OTHER_FILE)
			write_file(world, replacement.temporary, "not ours");
		assert_int_equal(replacement_commit(&replacement, &plain, &status, &step),
			i < NOTHING ? -EPERM : -ENOENT);
		assert_string_equal(step, "check temporary file");
		assert_text(world, "m", "old");
		assert_text(world, "target", "outside");
		assert_int_equal(count_entries(world), 2);
	}
}

static void the_old_file_goes_into_the_future(void **state)
{
	const struct replacement_mode touch = {0644, (gid_t)-1, .touch_replaced = true};
	const struct timespec ahead[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
	struct world *world = *state;

	for (unsigned from_future = 0; from_future < 2; from_future++) {
		struct replacement replacement;
		struct stat before, after, status;
		const char *step;
		int old;

		write_file(world, "m", "old");
		assert_int_equal(replace_open_current(world->directory, "m", &old), 0);
		if (from_future)
			assert_int_equal(utimensat(world->directory, "m", ahead, 0), 0);
		assert_int_equal(fstat(old, &before), 0);
		assert_int_equal(
			replacement_begin(world->directory, "m", &replacement), 0);
		assert_int_equal(write(replacement.file, "new", 3), 3);
		assert_int_equal(
			replacement_commit(&replacement, &touch, &status, &step), 0);
		assert_int_equal(fstat(old, &after), 0);
		assert_true(after.st_mtim.tv_sec > before.st_mtim.tv_sec);
		assert_int_equal(after.st_nlink, 0);
		assert_true(after.st_mtim.tv_sec > status.st_mtim.tv_sec);
		close(old);
	}
}

/* A memory file is on another file system, so that the copy takes the slow path, too. */
static void copies_from_anywhere(void **state)
{
	static const size_t sizes[] = {1, 16384, 16385, 300000};
	struct world *world = *state;

	for (unsigned i = 0; i < 8; i++) {
		size_t size = sizes[i / 2];
		char *text = malloc(size), *copy = malloc(size);
		struct replacement replacement;
		int from = i % 2 ? memfd_create("map", MFD_CLOEXEC)
				 : openat(world->directory, "m",
					   O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		for (size_t j = 0; j < size; j++)
			text[j] = (char)random();
		assert_int_equal(write(from, text, size), size);
		assert_int_equal(
			replacement_begin(world->directory, "m", &replacement), 0);
		assert_int_equal(replacement_copy(&replacement, from, (off_t)size), 0);
		assert_int_equal(pread(replacement.file, copy, size, 0), size);
		assert_memory_equal(copy, text, size);
		assert_int_equal(
			replacement_copy(&replacement, from, (off_t)size + 1), -ESTALE);
		replacement_abort(&replacement);
		close(from);
		free(copy);
		free(text);
	}
}

static void a_copy_says_why_it_failed(void **state)
{
	struct world *world = *state;
	struct replacement replacement;
	int from = openat(world->directory, "m", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(from, "text", 4), 4);
	assert_int_equal(replacement_begin(world->directory, "m", &replacement), 0);
	assert_int_equal(replacement_copy(&replacement, from, 4), -EBADF);
	replacement_abort(&replacement);
	close(from);
}

static void sweeps_exactly_its_own_leftovers(void **state)
{
	static const char *const kept[] = {"m", ".m.dracd-0123abc.tmp",
		".m.dracd-0123abcde.tmp", ".m.dracd-0123ABCD.tmp", "m.dracd-0123abcd.tmp",
		".m.dracd-0123abcd.tmp~", ".mm.dracd-0123abcd.tmp", ".dracd-0123abcd.tmp",
		".m.dracd-0123abcd", ".m.dracd-0123abcg.tmp", ".", ".m"};
	struct world *world = *state;
	unsigned count = 0;

	for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
		if (strcmp(kept[i], ".") != 0) {
			write_file(world, kept[i], "x");
			count++;
		}
	write_file(world, ".m.dracd-0123abcd.tmp", "x");
	write_file(world, ".m.dracd-00000000.tmp", "x");
	assert_int_equal(symlinkat("m", world->directory, ".m.dracd-ffffffff.tmp"), 0);
	assert_int_equal(mkdirat(world->directory, ".m.dracd-ddddddff.tmp", 0700), 0);
	assert_int_equal(count_entries(world), count + 4);
	assert_int_equal(replace_sweep(world->directory, "m"), 0);
	assert_int_equal(count_entries(world), count + 1); /* the directory */
	assert_text(world, "m", "x");
}

static void trusts_only_a_directory_of_ours(void **state)
{
	static const mode_t bad[] = {0775, 0757, 0777, 01777, 0720};
	struct world *world = *state;
	char link[64];
	int directory = -1;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(chmod(world->path, bad[i]), 0);
		assert_int_equal(replace_open_directory(world->path, &directory), -EPERM);
	}
	assert_int_equal(chmod(world->path, 0755), 0);
	snprintf(link, sizeof(link), "%s/link", world->path);
	assert_int_equal(symlink(world->path, link), 0);
	assert_int_equal(replace_open_directory(link, &directory), -ENOTDIR);
	assert_int_equal(unlink(link), 0);
	write_file(world, "link", "x");
	assert_int_equal(replace_open_directory(link, &directory), -ENOTDIR);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(replace_open_directory(link, &directory), -ENOENT);
	if (geteuid() == 0) {
		assert_int_equal(chown(world->path, 65534, (gid_t)-1), 0);
		assert_int_equal(replace_open_directory(world->path, &directory), -EPERM);
	} else {
		assert_int_equal(chmod(world->path, 0555), 0);
		assert_int_equal(
			replace_open_directory(world->path, &directory), -EACCES);
		assert_int_equal(chmod(world->path, 0755), 0);
	}
	assert_int_equal(directory, -1);
}

static void a_name_too_long_is_an_error(void **state)
{
	struct world *world = *state;
	struct replacement replacement = {.file = -1};
	char name[NAME_MAX + 1];

	memset(name, 'x', sizeof(name));
	name[NAME_MAX - 20] = '\0';
	assert_int_equal(replacement_begin(world->directory, name, &replacement), 0);
	replacement_abort(&replacement);
	name[NAME_MAX - 20] = 'x';
	name[NAME_MAX - 19] = '\0';
	assert_int_equal(
		replacement_begin(world->directory, name, &replacement), -ENAMETOOLONG);
	assert_int_equal(replacement.file, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			puts_a_new_file_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_aborted_one_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			an_empty_file_is_never_put_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(only_a_file_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_was_swapped_is_not_put_in_place, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_old_file_goes_into_the_future, setup, teardown),
		cmocka_unit_test_setup_teardown(copies_from_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_copy_says_why_it_failed, setup, teardown),
		cmocka_unit_test_setup_teardown(
			sweeps_exactly_its_own_leftovers, setup, teardown),
		cmocka_unit_test_setup_teardown(
			trusts_only_a_directory_of_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_name_too_long_is_an_error, setup, teardown),
	};

	return cmocka_run_group_tests_name("replace", tests, NULL, NULL);
}
