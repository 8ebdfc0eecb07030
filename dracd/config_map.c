/* What must hold between the options of a map: which MTA reads what, and what would break
 * it. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "dracd/cleanup.h"
#include "dracd/clock.h"
#include "dracd/config_internal.h"
#include "dracd/map_file.h"

#define FORM(name) (1U << KEY_##name)

static const struct {
	unsigned forms;  /* that an MTA asks a map of this type for */
	const char *why; /* not for others, and what to do */
} types[MAP_TYPE_COUNT] = {
	[MAP_HASH] = {FORM(POSTFIX) | FORM(SENDMAIL) | FORM(ACCESS) | FORM(EXIM) |
			      FORM(DRAC),
		"each MTA asks for a spelling of its own; use postfix, sendmail, access, "
		"drac or exim"},
	[MAP_BTREE] = {FORM(POSTFIX) | FORM(SENDMAIL) | FORM(ACCESS) | FORM(EXIM) |
			       FORM(DRAC),
		"each MTA asks for a spelling of its own; use postfix, sendmail, access, "
		"drac or exim"},
	[MAP_LMDB] = {FORM(POSTFIX),
		"only Postfix reads an lmdb file that is changed in place; for Sendmail "
		"use type = hash, for Exim type = hash, cdb or iplsearch"},
	[MAP_CDB] = {FORM(POSTFIX) | FORM(EXIM),
		"Postfix and Exim read cdb, each its own spelling; use keys = postfix or "
		"exim; for Sendmail type = hash"},
	[MAP_IPLSEARCH] = {FORM(PLAIN),
		"Exim parses the addresses of an iplsearch; use keys = plain"},
	[MAP_LSEARCH] = {FORM(EXIM),
		"an lsearch is asked by Exim alone; use keys = exim, or for networks of "
		"any length type = iplsearch"},
	[MAP_CIDR] = {FORM(PLAIN), "Postfix parses the networks of a cidr table; use "
				   "keys = plain"},
	[MAP_TEXTHASH] = {FORM(POSTFIX),
		"a texthash is read by Postfix alone; use keys = postfix"},
	[MAP_RELAYHOSTS] = {FORM(PLAIN), "a list of addresses has keys = plain"},
	[MAP_RELAYHOSTSUSERS] = {FORM(PLAIN), "a list of addresses has keys = plain"},
};

/* ---- keys and values ---- */

/* False if there is no form to go on with. */
static bool check_keys(const struct check *check, struct map_config *map)
{
	unsigned forms = types[map->type].forms;

	if (map->keys == KEYS_AUTO && (forms & (forms - 1)) == 0)
		map->keys = (enum key_form)__builtin_ctz(forms);
	if (map->keys == KEYS_AUTO) {
		config_complain(check, SCOPE_MAP, map->name, false,
			"keys: must be given: how does the MTA spell an address? %s%s",
			forms & FORM(SENDMAIL) ? "postfix, sendmail, access, drac"
					       : "postfix",
			" or exim");
		return false;
	}
	if (forms & (1U << map->keys))
		return true;
	config_complain(check, SCOPE_MAP, map->name, false,
		"keys = %s with type = %s: %s", key_form_name(map->keys),
		map_type_name(map->type), types[map->type].why);
	return false;
}

static void check_nul(const struct check *check, struct map_config *map)
{
	bool usual = map->type != MAP_CDB && !map_type_is_text(map->type) &&
		     (map->keys == KEY_POSTFIX || map->keys == KEY_EXIM);

	if (map->nul == NUL_AUTO)
		map->nul = usual ? NUL_YES : NUL_NO;
	if (map->nul == NUL_NO)
		return;
	if (map_type_is_text(map->type))
		config_complain(check, SCOPE_MAP, map->name, false,
			"nul = yes: there is no NUL in a text file");
	else if (map->type == MAP_CDB && map->keys == KEY_EXIM)
		config_complain(check, SCOPE_MAP, map->name, false,
			"nul = yes: Exim asks a cdb for keys without NUL");
}

/* Of what Postfix may find, all else is to it the name of a restriction, or refuses. */
static bool permits_in_postfix(const char *value)
{
	size_t word = strcspn(value, " ");

	return strspn(value, "0123456789") == strlen(value) ||
	       strcasecmp(value, "permit") == 0 ||
	       (word == 2 && strncasecmp(value, "OK", word) == 0) ||
	       (word == 5 && strncasecmp(value, "RELAY", word) == 0);
}

/* It is another at each publication, so a map that compares what it has would have all
 * its rows changed. */
static void check_deadline(const struct check *check, const struct map_config *map)
{
	if (map->type != MAP_HASH && map->type != MAP_BTREE)
		config_complain(check, SCOPE_MAP, map->name, false,
			"value = deadline: only for type = btree and hash, as DRAC has them");
}

static void check_page_size(const struct check *check, const struct map_config *map)
{
	if (map->page_size > 0 && map->type != MAP_HASH && map->type != MAP_BTREE)
		config_complain(check, SCOPE_MAP, map->name, false,
			"page_size: a file of type = %s has no such pages",
			map_type_name(map->type));
}

static void check_map_value(const struct check *check, const struct map_config *map)
{
	const char *value = map->value;
	const bool is_postfix = map->keys == KEY_POSTFIX || map->keys == KEY_DRAC ||
				map->type == MAP_CIDR;

	if (!value)
		return;
	if (map_type_has_no_values(map->type))
		config_complain(check, SCOPE_MAP, map->name, false,
			"value: a row of type = %s has none", map_type_name(map->type));
	else if (map->type == MAP_RELAYHOSTSUSERS)
		config_complain(check, SCOPE_MAP, map->name, false,
			"value: it is who has logged in; leave it out");
	else if (map->keys == KEY_ACCESS && strcmp(value, "RELAY") != 0)
		config_complain(check, SCOPE_MAP, map->name, false,
			"value = %s: in the access database only RELAY permits", value);
	else if (map_file_has_deadline(map))
		check_deadline(check, map);
	else if (is_postfix && !permits_in_postfix(value))
		config_complain(check, SCOPE_MAP, map->name, false,
			"value = %s: does not permit in Postfix, or is an error (451); use "
			"OK, RELAY, permit or a number",
			value);
}

/* ---- files ---- */

static void check_file(const struct check *check, const struct map_config *map)
{
	if (map->mode & (S_IWGRP | S_IWOTH))
		config_complain(check, SCOPE_MAP, map->name, false,
			"mode = 0%o: whoever may write the file may open the relay; use 0644",
			(unsigned)map->mode);
	else if (!(map->mode & S_IRUSR) ||
		 (map_type_is_in_place(map->type) && !(map->mode & S_IWUSR)))
		config_complain(check, SCOPE_MAP, map->name, false,
			"mode = 0%o: dracd itself reads and writes the file; use 0644",
			(unsigned)map->mode);
	if (map->static_path && map->keys != KEY_ACCESS)
		config_complain(check, SCOPE_MAP, map->name, false,
			"static: only a map with keys = access merges a static file");
}

/* One path, or two of one file that is there. */
static bool is_same(const char *a, const char *b)
{
	struct stat a_status, b_status;

	return strcmp(a, b) == 0 || (stat(a, &a_status) == 0 && stat(b, &b_status) == 0 &&
					    a_status.st_dev == b_status.st_dev &&
					    a_status.st_ino == b_status.st_ino);
}

static bool is_own_file(const char *file, const char *state_directory)
{
	static const char *const names[] = {"blocks", "lock", "running"};
	const char *slash = strrchr(file, '/');
	char parent[PATH_MAX];
	bool is_own = false;
	size_t length;

	if (!slash || slash - file >= PATH_MAX)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		is_own = is_own || strcmp(slash + 1, names[i]) == 0;
	length = slash > file ? (size_t)(slash - file) : 1;
	memcpy(parent, file, length);
	parent[length] = '\0';
	return is_own && is_same(parent, state_directory);
}

/* What the administrator writes, or dracd for itself, must not be replaced by a map. */
static void check_others(const struct check *check, const struct map_config *map)
{
	const char *file = map->file;
	const struct config *config = check->config;
	const struct source *source = check->source;

	for (size_t i = 0; i < config->map_count; i++)
		if (config->maps[i].static_path &&
			is_same(file, config->maps[i].static_path))
			config_complain(check, SCOPE_MAP, map->name, false,
				"path: %s is the static file of map %s", file,
				config->maps[i].name);
	for (size_t i = 0; i < source->place_count; i++)
		if (is_same(file, source->places[i].file)) {
			config_complain(check, SCOPE_MAP, map->name, false,
				"path: %s is part of this configuration", file);
			break;
		}
	if (config->state_directory && is_own_file(file, config->state_directory))
		config_complain(check, SCOPE_MAP, map->name, false,
			"path: %s is a file of dracd's own", file);
}

int config_name_files(struct config *config)
{
	for (size_t i = 0; i < config->map_count; i++) {
		struct map_config *map = &config->maps[i];

		if (asprintf(&map->file, "%s%s", map->path, map_type_suffix(map->type)) <
			0) {
			map->file = NULL;
			return -ENOMEM;
		}
	}
	return 0;
}

/* ---- what suits the readers ---- */

static void set_intervals(struct map_config *map)
{
	const bool in_place = map_type_is_in_place(map->type);
	/* each replacement makes every smtpd process start anew */
	const bool restarts =
		(map->keys == KEY_POSTFIX || map->keys == KEY_DRAC) && !in_place;
	const uint64_t usual = (in_place ? 100 : 250) * USEC_PER_MSEC;

	if (map->interval_usec == INTERVAL_AUTO)
		map->interval_usec = usual;
	if (map->end_interval_usec == INTERVAL_AUTO)
		map->end_interval_usec = restarts ? USEC_PER_SEC : usual;
}

static void check_prefix(const struct check *check, const struct map_config *map)
{
	const unsigned prefix = check->config->ipv6_prefix;
	const bool hosts_only = map->keys == KEY_SENDMAIL || map->keys == KEY_DRAC;
	struct address sample = {.length = (uint8_t)prefix};
	struct keys keys;

	sample.ip.s6_addr[0] = 0x20;
	sample.ip.s6_addr[3] = sample.ip.s6_addr[5] = sample.ip.s6_addr[7] = 1;
	if (map_file_format_keys(map, &sample, &keys) == 0)
		return;
	if (map->keys == KEY_PLAIN)
		config_complain(check, SCOPE_MAP, map->name, false,
			"ipv6_prefix = %u cannot be expressed in a map of type = %s, which "
			"lists addresses only; use type = iplsearch, ipv6_prefix = 128, or a "
			"lookup instead of the map",
			prefix, map_type_name(map->type));
	else
		config_complain(check, SCOPE_MAP, map->name, false,
			"ipv6_prefix = %u cannot be expressed in a map with keys = %s%s; use "
			"ipv6_prefix = 128%s, or a lookup instead of the map",
			prefix, key_form_name(map->keys),
			hosts_only ? ", which FEATURE(drac) asks for hosts"
				   : ", which goes by groups of 16",
			hosts_only ? ", keys = access" : " or 64");
}

static void check_liveness(const struct check *check, const struct map_config *map)
{
	if (map->type == MAP_CIDR || map->type == MAP_TEXTHASH)
		config_complain(check, SCOPE_MAP, map->name, true,
			"type = %s is for export only: an smtpd process reads it once and "
			"notices no change, so that leases begin and end late; for Postfix "
			"use type = lmdb, or a lookup",
			map_type_name(map->type));
}

static void check_map(const struct check *check, struct map_config *map)
{
	if (!check_keys(check, map))
		return;
	check_nul(check, map);
	check_map_value(check, map);
	check_page_size(check, map);
	check_file(check, map);
	set_intervals(map);
	check_prefix(check, map);
	check_liveness(check, map);
}

void config_check_maps(struct config *config, const struct check *check)
{
	struct map_config *maps = config->maps;

	for (size_t i = 0; i < config->map_count; i++) {
		check_map(check, &maps[i]);
		check_others(check, &maps[i]);
		for (size_t j = 0; j < i; j++)
			if (strcmp(maps[i].file, maps[j].file) == 0)
				config_complain(check, SCOPE_MAP, maps[i].name, false,
					"path is that of map %s", maps[j].name);
	}
}

bool config_shows_users(const struct config *config)
{
	for (size_t i = 0; i < config->map_count; i++)
		if (config->maps[i].type == MAP_RELAYHOSTSUSERS)
			return true;
	return false;
}
