/* One line a lookup or map, in the words of dracd-protocol(7). */
#include "dracd/published.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/words.h"
#include "dracd/cleanup.h"
#include "dracd/config_internal.h"
#include "dracd/file.h"
#include "dracd/log.h"

enum {
	FILE_SIZE_MAX = 1024 * 1024, /* more than a configuration has */
};

/* ---- as a configuration ---- */

static int add_lookup(struct config *to, const char *path)
{
	struct lookup_settings *grown =
		reallocarray(to->lookups, to->lookup_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	to->lookups = grown;
	grown += to->lookup_count;
	*grown = (struct lookup_settings){.socket.path = strdup(path)};
	if (!grown->socket.path)
		return -ENOMEM;
	to->lookup_count++;
	return 0;
}

static int add_map(struct config *to, const struct map_config *map)
{
	struct map_config *grown =
		reallocarray(to->maps, to->map_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	to->maps = grown;
	grown += to->map_count++;
	*grown = *map;
	grown->name = strdup(map->name);
	grown->path = strdup(map->path);
	grown->file = strdup(map->file);
	grown->static_path = map->static_path ? strdup(map->static_path) : NULL;
	grown->value = map->value ? strdup(map->value) : NULL;
	return grown->name && grown->path && grown->file &&
			       !grown->static_path == !map->static_path &&
			       !grown->value == !map->value
		       ? 0
		       : -ENOMEM;
}

static bool has_lookup(const struct config *config, const char *path)
{
	for (size_t i = 0; i < config->lookup_count; i++)
		if (strcmp(config->lookups[i].socket.path, path) == 0)
			return true;
	return false;
}

void published_drop_map(struct config *config, size_t index)
{
	struct map_config *map = &config->maps[index];

	config_done_section(SCOPE_MAP, map);
	memmove(map, map + 1, (--config->map_count - index) * sizeof(*map));
}

static int add_newest_map(struct config *to, const struct map_config *map)
{
	struct map_config noted = *map;

	noted.interval_usec = noted.end_interval_usec = 0; /* nobody needs them */
	for (size_t i = to->map_count; i > 0; i--)
		if (config_same_map(&to->maps[i - 1], &noted))
			published_drop_map(to, i - 1);
	return add_map(to, &noted);
}

int published_add(struct config *to, const struct config *from)
{
	int r = 0;

	for (size_t i = 0; i < from->lookup_count && r == 0; i++)
		if (!has_lookup(to, from->lookups[i].socket.path))
			r = add_lookup(to, from->lookups[i].socket.path);
	for (size_t i = 0; i < from->map_count && r == 0; i++)
		r = add_newest_map(to, &from->maps[i]);
	return r;
}

struct config *published_new(const struct config *from)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->references = 1;
	return from && published_add(config, from) < 0 ? config_unref(config) : config;
}

/* ---- as text ---- */

static int write_line(FILE *stream, struct line *line)
{
	int length = line_finish(line);

	if (length < 0)
		return length;
	return fwrite(line->text, (size_t)length, 1, stream) == 1 ? 0 : -ENOMEM;
}

static int write_map(FILE *stream, const struct map_config *map)
{
	struct line line;

	line_init(&line, "map");
	line_add(&line, "name", map->name);
	line_add(&line, "type", map_type_name(map->type));
	line_add(&line, "keys", key_form_name(map->keys));
	line_add(&line, "path", map->path);
	line_add(&line, "file", map->file);
	line_add_number(&line, "mode", map->mode);
	line_add_number(&line, "page_size", map->page_size);
	if (map->nul == NUL_YES)
		line_add_bare(&line, "nul");
	if (map->group != (gid_t)-1)
		line_add_number(&line, "group", map->group);
	if (map->value)
		line_add(&line, "value", map->value);
	if (map->static_path)
		line_add(&line, "static", map->static_path);
	return write_line(stream, &line);
}

static int write_lines(FILE *stream, const struct config *published)
{
	struct line line;
	int r;

	line_init(&line, "dracd-published");
	line_add_number(&line, "version", 1);
	r = write_line(stream, &line);
	for (size_t i = 0; i < published->lookup_count && r == 0; i++) {
		line_init(&line, "lookup");
		line_add(&line, "path", published->lookups[i].socket.path);
		r = write_line(stream, &line);
	}
	for (size_t i = 0; i < published->map_count && r == 0; i++)
		r = write_map(stream, &published->maps[i]);
	return r;
}

int published_save(int directory, const struct config *published, bool is_synced)
{
	_cleanup_(free_pointer) char *text = NULL;
	size_t length;
	FILE *stream = open_memstream(&text, &length);
	int r;

	if (!stream)
		return -ENOMEM;
	r = write_lines(stream, published);
	if (fclose(stream) != 0 && r == 0)
		r = -ENOMEM;
	if (r < 0)
		return r;
	return is_synced ? file_replace(directory, PUBLISHED_FILE, text, length)
			 : file_replace_unsynced(directory, PUBLISHED_FILE, text, length);
}

static bool has_bare(const struct words *words, const char *key)
{
	for (unsigned i = 1; i < words->count; i++)
		if (words_is(words, i, key))
			return true;
	return false;
}

static char *copy(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int parse_numbers(const struct words *words, struct map_config *map)
{
	unsigned long long mode, page_size, group = (gid_t)-1;

	if (words_get_number(words, "mode", &mode) < 0 ||
		words_get_number(words, "page_size", &page_size) < 0 ||
		words_get_number(words, "group", &group) == -EINVAL)
		return -EBADMSG;
	map->mode = (mode_t)mode;
	map->page_size = (unsigned)page_size;
	map->group = (gid_t)group;
	return 0;
}

/* *ret is to be done with, also on failure. */
static int parse_map(const struct words *words, struct map_config *ret)
{
	const char *type = words_get(words, "type"), *keys = words_get(words, "keys");

	*ret = (struct map_config){
		.name = copy(words_get(words, "name")),
		.path = copy(words_get(words, "path")),
		.file = copy(words_get(words, "file")),
		.value = copy(words_get(words, "value")),
		.static_path = copy(words_get(words, "static")),
		.nul = has_bare(words, "nul") ? NUL_YES : NUL_NO,
	};
	if (!type || !keys || !ret->name || !ret->path || !ret->file ||
		map_type_parse(type, &ret->type) < 0 ||
		key_form_parse(keys, &ret->keys) < 0)
		return -EBADMSG;
	return parse_numbers(words, ret);
}

static int read_map(struct config *to, const struct words *words)
{
	struct map_config map;
	int r = parse_map(words, &map);

	if (r == 0)
		r = add_map(to, &map);
	config_done_section(SCOPE_MAP, &map);
	return r;
}

static int read_line(struct config *to, char *text, size_t length, bool is_first)
{
	struct words words;
	const char *problem, *path;

	if (words_parse(text, length, &words, &problem) < 0)
		return -EBADMSG;
	if (is_first) {
		unsigned long long version;

		return words_is(&words, 0, "dracd-published") &&
				       words_get_number(&words, "version", &version) ==
					       0 &&
				       version == 1
			       ? 0
			       : -EBADMSG;
	}
	path = words_get(&words, "path");
	if (words_is(&words, 0, "lookup") && path)
		return add_lookup(to, path);
	return words_is(&words, 0, "map") ? read_map(to, &words) : -EBADMSG;
}

/* What cannot be read keeps nothing else from being withdrawn. */
int published_load(int directory, struct config **ret, unsigned *ret_line)
{
	_cleanup_(free_pointer) char *text = NULL;
	struct config *config;
	size_t length;
	unsigned number = 0;
	int r = file_read(directory, PUBLISHED_FILE, FILE_SIZE_MAX, &text, &length);

	*ret = NULL;
	*ret_line = 0;
	if (r < 0)
		return r;
	config = published_new(NULL);
	if (!config)
		return -ENOMEM;
	for (char *at = text, *end; *at; at = end + 1) {
		int got = -EBADMSG;

		number++;
		end = strchr(at, '\n');
		if (end)
			got = read_line(config, at, (size_t)(end - at), number == 1);
		if (got == -ENOMEM) {
			config_unref(config);
			return got;
		}
		if (got < 0 && *ret_line == 0)
			*ret_line = number;
		if (!end)
			break;
	}
	if (number == 0)
		*ret_line = 1;
	*ret = config;
	return *ret_line > 0 ? -EBADMSG : 0;
}

/* On a full disk the file goes: then all is withdrawn once more. */
void published_clear(int directory)
{
	const struct config none = {0};
	int r = published_save(directory, &none, false);

	if (r < 0 && unlinkat(directory, PUBLISHED_FILE, 0) < 0)
		log_errno(LOG_WARNING, r, "cannot note that all is withdrawn, ignoring");
}
