#include "dracd/published.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dracd/file.h"
#include "tests/unit/unit.h"

struct world {
	char path[32];
	int directory;
	struct config *published;
};

static char socket_path[] = "/run/dracd/socket map";
static char name[] = "access", path[] = "/etc/mail/a b%c",
	    file[] = "/etc/mail/a b%c.lmdb";
static char static_path[] = "/etc/mail/access", value[] = "RELAY";

static struct lookup_settings lookup = {.socket.path = socket_path};
static struct map_config map = {
	.name = name,
	.type = MAP_LMDB,
	.keys = KEY_ACCESS,
	.nul = NUL_YES,
	.value = value,
	.page_size = 4096,
	.path = path,
	.file = file,
	.group = 7,
	.mode = 0640,
	.interval_usec = 5,
	.end_interval_usec = 6,
	.static_path = static_path,
};
static struct config whole = {
	.lookup_count = 1, .lookups = &lookup, .map_count = 1, .maps = &map};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	snprintf(world->path, sizeof(world->path), "/tmp/dracd-test-XXXXXX");
	assert_non_null(mkdtemp(world->path));
	world->directory = open(world->path, O_DIRECTORY);
	world->published = published_new(&whole);
	assert_non_null(world->published);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	unlinkat(world->directory, PUBLISHED_FILE, 0);
	close(world->directory);
	rmdir(world->path);
	config_unref(world->published);
	free(world);
	return 0;
}

static struct config *load(const struct world *world, int wanted, unsigned wanted_line)
{
	struct config *loaded;
	unsigned line;

	assert_int_equal(published_load(world->directory, &loaded, &line), wanted);
	assert_int_equal(line, wanted_line);
	return loaded;
}

static void assert_saved(const struct map_config *loaded)
{
	assert_string_equal(loaded->name, name);
	assert_int_equal(loaded->type, MAP_LMDB);
	assert_int_equal(loaded->keys, KEY_ACCESS);
	assert_int_equal(loaded->nul, NUL_YES);
	assert_string_equal(loaded->value, value);
	assert_int_equal(loaded->page_size, 4096);
	assert_string_equal(loaded->path, path);
	assert_string_equal(loaded->file, file);
	assert_int_equal(loaded->group, 7);
	assert_int_equal(loaded->mode, 0640);
	assert_string_equal(loaded->static_path, static_path);
}

static void what_is_saved_is_loaded(void **state)
{
	struct world *world = *state;
	struct config *loaded;

	assert_int_equal(published_save(world->directory, world->published, true), 0);
	loaded = load(world, 0, 0);
	assert_int_equal(loaded->lookup_count, 1);
	assert_string_equal(loaded->lookups[0].socket.path, socket_path);
	assert_int_equal(loaded->map_count, 1);
	assert_saved(&loaded->maps[0]);
	/* and is the same map as before, whatever its intervals are */
	assert_int_equal(published_add(loaded, &whole), 0);
	assert_int_equal(loaded->lookup_count, 1);
	assert_int_equal(loaded->map_count, 1);
	config_unref(loaded);
}

static void what_a_map_may_lack(void **state)
{
	struct world *world = *state;
	struct map_config bare = map;
	struct config config = {.map_count = 1, .maps = &bare}, *published, *loaded;

	bare.value = bare.static_path = NULL;
	bare.group = (gid_t)-1;
	bare.nul = NUL_NO;
	bare.page_size = 0;
	published = published_new(&config);
	assert_int_equal(published_save(world->directory, published, true), 0);
	loaded = load(world, 0, 0);
	assert_null(loaded->maps[0].value);
	assert_null(loaded->maps[0].static_path);
	assert_int_equal(loaded->maps[0].group, (gid_t)-1);
	assert_int_equal(loaded->maps[0].nul, NUL_NO);
	config_unref(loaded);
	config_unref(published);
}

static void nothing_is_noted_once_it_is_cleared(void **state)
{
	struct world *world = *state;
	struct config *loaded;

	assert_null(load(world, -ENOENT, 0));
	assert_int_equal(published_save(world->directory, world->published, true), 0);
	published_clear(world->directory);
	loaded = load(world, 0, 0);
	assert_int_equal(loaded->lookup_count + loaded->map_count, 0);
	config_unref(loaded);
}

static void the_last_of_two_of_one_path_stays_the_last(void **state)
{
	static char other_name[] = "other";
	struct world *world = *state;
	struct map_config other = map;
	struct config more = {.map_count = 1, .maps = &other};

	other.name = other_name;
	assert_int_equal(published_add(world->published, &more), 0);
	assert_int_equal(world->published->map_count, 2);
	assert_int_equal(published_add(world->published, &whole), 0);
	assert_int_equal(world->published->map_count, 2);
	assert_string_equal(world->published->maps[0].name, "other");
	assert_string_equal(world->published->maps[1].name, "access");
	published_drop_map(world->published, 0);
	assert_string_equal(world->published->maps[0].name, "access");
}

static void a_line_that_is_damaged_costs_no_other(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		size_t lookups;
	} rows[] = {
		{"", 1, 0},
		{"dracd-published version=1", 1, 0},
		{"dracd-published version=2\nlookup path=/a\n", 1, 1},
		{"dracd-published version=1\nlookup\nlookup path=/a\n", 2, 1},
		{"dracd-published version=1\nlookup path=/a\nmap name=x\n", 3, 1},
		{"dracd-published version=1\nlookup path=/a\nlookup path=/b", 3, 1},
		{"dracd-published version=1\nshelf path=/a\n\nlookup path=/b\n", 2, 1},
		{"lookup path=/a\nlookup path=/b\n", 1, 1},
		{"dracd-published version=1\nmap name=a type=lmdb keys=postfix path=/a "
		 "file=/a.lmdb mode=420 page_size=0 group=x\n",
			2, 0},
		{"dracd-published version=1\nmap name=a type=shelf keys=postfix path=/a "
		 "file=/a.lmdb mode=420 page_size=0\nlookup path=/a\n",
			2, 1},
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct config *loaded;

		assert_int_equal(file_replace(world->directory, PUBLISHED_FILE,
					 rows[i].text, strlen(rows[i].text)),
			0);
		loaded = load(world, -EBADMSG, rows[i].line);
		assert_int_equal(loaded->lookup_count, rows[i].lookups);
		assert_int_equal(loaded->map_count, 0);
		config_unref(loaded);
	}
}

static void texts_that_are_too_long_are_refused(void **state)
{
	struct world *world = *state;
	struct map_config longer = map;
	struct config config = {.map_count = 1, .maps = &longer}, *published;
	char text[3000];

	memset(text, 'x', sizeof(text) - 1);
	text[0] = '/';
	text[sizeof(text) - 1] = '\0';
	longer.static_path = text;
	published = published_new(&config);
	assert_int_equal(published_save(world->directory, world->published, true), 0);
	assert_int_equal(published_save(world->directory, published, true), -EMSGSIZE);
	config_unref(published);
	published = load(world, 0, 0); /* the old one stands */
	assert_saved(&published->maps[0]);
	config_unref(published);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, setup, teardown),
		cmocka_unit_test_setup_teardown(what_a_map_may_lack, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_is_noted_once_it_is_cleared, setup, teardown),
		cmocka_unit_test_setup_teardown(
			the_last_of_two_of_one_path_stays_the_last, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_line_that_is_damaged_costs_no_other, setup, teardown),
		cmocka_unit_test_setup_teardown(
			texts_that_are_too_long_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
