#include "client/ctl_json.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* A value of digits is a number only where the protocol has one: a user may be called
 * "4711". */
static bool is_number_key(const char *key)
{
	static const char *const keys[] = {"pid", "count", "ipv4", "ipv6", "limit",
		"granted", "renewed", "refused", "errors", "asked", "permitted",
		"connections", "networks", "entries", "pending", "users", "logins",
		"leases", "lookups", "maps", "maps_late", "rows"};
	size_t length = strlen(key);

	if (length > 3 && strcmp(key + length - 3, "_ms") == 0)
		return true;
	if (strncmp(key, "refused_", 8) == 0 && strcmp(key, "refused_reason") != 0)
		return true;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i], key) == 0)
			return true;
	return false;
}

static json_t *value_of(const struct words *words, const struct word *word)
{
	unsigned long long number;

	if (!word->value)
		return json_true();
	if (is_number_key(word->key) &&
		words_get_number(words, word->key, &number) == 0 && number <= LLONG_MAX)
		return json_integer((json_int_t)number);
	return json_string(word->value);
}

json_t *ctl_json_object(const struct words *words)
{
	json_t *object = json_object();

	if (!object)
		return NULL;
	for (unsigned i = 1; i < words->count; i++) {
		const struct word *word = &words->word[i];

		if (json_object_set_new(object, word->key, value_of(words, word)) < 0) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

static int dump(json_t *value, size_t flags)
{
	int r = -ENOMEM;

	if (value)
		r = json_dumpf(value, stdout, flags) < 0 ? -EIO : 0;
	json_decref(value);
	if (r < 0)
		fprintf(stderr, "dracctl: cannot write JSON: %s\n", strerror(-r));
	return r;
}

int ctl_json_print(json_t *value)
{
	int r = dump(value, JSON_INDENT(2));

	if (r == 0)
		putchar('\n');
	return r;
}

int ctl_json_list_element(json_t *value, unsigned long long *count)
{
	fputs(*count == 0 ? "[\n  " : ",\n  ", stdout);
	++*count;
	return dump(value, JSON_COMPACT);
}

void ctl_json_list_end(unsigned long long count)
{
	fputs(count == 0 ? "[]\n" : "\n]\n", stdout);
}
