/* The line protocol's words: one writer and one reader, used by both ends, so that what a
 * client writes is by construction what dracd reads. */
#include "client/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool is_key_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* How many octets the UTF-8 sequence at text takes (RFC 3629, section 4); 0 if it is
 * malformed.  The NUL at the end of text bounds the look-ahead. */
static size_t utf8_sequence(const unsigned char *text)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf) {
		length = 2;
	} else if (text[0] >= 0xe0 && text[0] <= 0xef) {
		length = 3;
		low = text[0] == 0xe0 ? 0xa0 : low;
		high = text[0] == 0xed ? 0x9f : high;
	} else if (text[0] >= 0xf0 && text[0] <= 0xf4) {
		length = 4;
		low = text[0] == 0xf0 ? 0x90 : low;
		high = text[0] == 0xf4 ? 0x8f : high;
	} else {
		return 0;
	}
	if (text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static bool is_clean_text(const char *value)
{
	const unsigned char *at = (const unsigned char *)value;

	while (*at) {
		size_t length = utf8_sequence(at);

		if (length == 0 || *at < 0x20 || *at == 0x7f)
			return false;
		/* C1 control characters, U+0080 to U+009F */
		if (length == 2 && at[0] == 0xc2 && at[1] < 0xa0)
			return false;
		at += length;
	}
	return true;
}

/* Decodes %XX in place.  False if an escape is malformed or stands for NUL. */
static bool decode_value(char *value)
{
	char *to = value;

	for (const char *from = value; *from; from++) {
		if (*from == '%') {
			int high = hex_digit(from[1]);
			int low = high < 0 ? -1 : hex_digit(from[2]);

			if (low < 0 || (high == 0 && low == 0))
				return false;
			*to++ = (char)(high * 16 + low);
			from += 2;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
	return true;
}

/* Parses the NUL-terminated text of one word.  Returns NULL or what is wrong with it. */
static const char *parse_word(char *text, bool is_verb, struct word *ret)
{
	char *end = text;

	while (is_key_char(*end) || (is_verb && *end >= 'A' && *end <= 'Z'))
		end++;
	if (end == text)
		return "a word must start with a key of a-z, 0-9, '-' or '_'";
	ret->key = text;
	ret->value = NULL;
	if (*end == '\0')
		return NULL;
	if (*end != '=')
		return "a key may hold a-z, 0-9, '-' and '_' only";
	*end = '\0';
	if (!decode_value(end + 1))
		return "malformed %XX escape in a value";
	if (!is_clean_text(end + 1))
		return "a value is not UTF-8 text without control characters";
	ret->value = end + 1;
	return NULL;
}

static bool has_key(const struct words *words, const char *key)
{
	for (unsigned i = 1; i < words->count; i++)
		if (strcmp(words->word[i].key, key) == 0)
			return true;
	return false;
}

int words_parse(char *line, size_t length, struct words *ret, const char **ret_problem)
{
	char *next = line;

	ret->count = 0;
	line[length] = '\0';
	*ret_problem = "empty line";
	if (length == 0)
		return -EBADMSG;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f) {
			*ret_problem = "control character in the line";
			return -EBADMSG;
		}
	while (next) {
		struct word word;
		char *text = next;
		char *space = strchr(text, ' ');

		next = space ? space + 1 : NULL;
		if (space)
			*space = '\0';
		*ret_problem = "too many words";
		if (ret->count == WORDS_MAX)
			return -E2BIG;
		*ret_problem = parse_word(text, ret->count == 0, &word);
		if (!*ret_problem && ret->count == 0 && word.value)
			*ret_problem = "a line must start with a verb";
		if (!*ret_problem && has_key(ret, word.key))
			*ret_problem = "a key occurs twice";
		if (*ret_problem)
			return -EBADMSG;
		ret->word[ret->count++] = word;
	}
	return 0;
}

const char *words_get(const struct words *words, const char *key)
{
	for (unsigned i = 1; i < words->count; i++)
		if (strcmp(words->word[i].key, key) == 0)
			return words->word[i].value;
	return NULL;
}

int words_is(const struct words *words, unsigned index, const char *key)
{
	return index < words->count && !words->word[index].value &&
	       strcmp(words->word[index].key, key) == 0;
}

int words_get_number(const struct words *words, const char *key, unsigned long long *ret)
{
	const char *text = words_get(words, key);
	unsigned long long number = 0;
	size_t digits;

	if (!text)
		return has_key(words, key) ? -EINVAL : -ENOENT;
	digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 19 || text[digits])
		return -EINVAL;
	for (const char *at = text; *at; at++)
		number = number * 10 + (unsigned)(*at - '0');
	*ret = number;
	return 0;
}

/* Appends length octets as a whole or not at all, leaving room for LF. */
static void append(struct line *line, const char *text, size_t length)
{
	if (line->overflow || line->length + length >= LINE_SIZE_MAX) {
		line->overflow = 1;
		return;
	}
	memcpy(line->text + line->length, text, length);
	line->length += length;
}

void line_init(struct line *line, const char *verb)
{
	line->length = 0;
	line->overflow = 0;
	append(line, verb, strlen(verb));
}

void line_add_bare(struct line *line, const char *key)
{
	append(line, " ", 1);
	append(line, key, strlen(key));
}

void line_add(struct line *line, const char *key, const char *value)
{
	line_add_bare(line, key);
	append(line, "=", 1);
	for (const char *at = value; *at; at++) {
		unsigned char octet = (unsigned char)*at;
		char escaped[4];

		if (octet <= 0x20 || octet == 0x7f || octet == '%') {
			snprintf(escaped, sizeof(escaped), "%%%02X", octet);
			append(line, escaped, 3);
		} else {
			append(line, at, 1);
		}
	}
}

void line_add_number(struct line *line, const char *key, unsigned long long number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", number);
	line_add(line, key, text);
}

int line_finish(struct line *line)
{
	if (line->overflow)
		return -EMSGSIZE;
	line->text[line->length++] = '\n';
	line->text[line->length] = '\0';
	return (int)line->length;
}
