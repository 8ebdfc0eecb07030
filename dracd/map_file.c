/* How a map of drac.conf is opened, and withdrawn. */
#include "dracd/map_file.h"

#include <errno.h>
#include <string.h>

int map_file_format_keys(
	const struct map_config *config, const struct address *address, struct keys *ret)
{
	const bool hosts_only =
		config->type == MAP_RELAYHOSTS || config->type == MAP_RELAYHOSTSUSERS;

	if (hosts_only && address->length != 128)
		return -EOPNOTSUPP;
	return key_format(config->keys, &address->ip, address->length, ret);
}

const char *map_file_value(const struct map_config *config)
{
	return config->value ? config->value : key_form_value(config->keys);
}

bool map_file_has_deadline(const struct map_config *config)
{
	return config->value && strcmp(config->value, "deadline") == 0;
}

int map_file_open(const struct map_config *config, struct map **ret)
{
	struct map_settings settings = {
		.type = config->type,
		.path = config->path,
		.mode = config->mode,
		.group = config->group,
		.trailing_nul = config->nul == NUL_YES,
		.wake_readers = config->keys == KEY_SENDMAIL ||
				config->keys == KEY_ACCESS || config->keys == KEY_DRAC,
		.page_size = config->page_size,
	};

	return map_open(&settings, ret);
}

int map_file_put_static(struct map *map, const struct access *access)
{
	size_t count = access ? access_count(access) : 0;

	for (size_t i = 0; i < count; i++) {
		const char *key, *value;
		int r;

		access_row(access, i, &key, &value);
		r = map_put(map, key, value);
		if (r < 0)
			return r;
	}
	return 0;
}

bool map_file_lacks_static(const struct map_config *config, const struct access *access)
{
	return config->static_path && !access;
}

static int begin_static(struct map *map, const struct access *access)
{
	int r = map_begin_rebuild(map);

	return r == 0 ? map_file_put_static(map, access) : r;
}

int map_file_make_spare(struct map *map, const struct access *access)
{
	int r = begin_static(map, access);

	if (r == 0)
		return map_commit_spare(map);
	map_abort(map);
	return r;
}

static int publish_static(
	struct map *map, const struct access *access, struct map_identity *ret)
{
	struct map_counts counts;
	int r = begin_static(map, access);

	if (r == 0)
		return map_commit(map, ret, &counts);
	map_abort(map);
	return r;
}

int map_file_restore(struct map *map, struct map_identity *ret)
{
	int r = map_restore_spare(map, ret);

	if (r != -ENOENT)
		return r;
	r = publish_static(map, NULL, ret);
	return r == 0 ? MAP_FILE_BARE : r;
}

int map_file_withdraw(
	const struct map_config *config, struct map *map, const struct access *access)
{
	struct map_identity identity;
	int r;

	if (map_is_foreign(map))
		return 0;
	r = map_file_lacks_static(config, access)
		    ? map_file_restore(map, &identity)
		    : publish_static(map, access, &identity);
	if (r < 0 && map_use_spare(map) == 0)
		return 0;
	return r;
}
