/* Just enough of libconfuse's grammar to find where a statement ends. */
#include "client/conf_text.h"

#include <ctype.h>
#include <string.h>

void conf_blank(char *from, const char *to)
{
	for (; from < to; from++)
		if (*from != '\n')
			*from = ' ';
}

/* Past a quoted text that begins at at. */
static char *skip_quoted(char *at)
{
	char quote = *at++;

	while (*at && *at != quote)
		at += *at == '\\' && at[1] ? 2 : 1;
	return *at ? at + 1 : at;
}

bool conf_blank_comments(char *text)
{
	for (char *at = text; *at;) {
		if (*at == '"' || *at == '\'') {
			at = skip_quoted(at);
		} else if (*at == '#' || (at[0] == '/' && at[1] == '/')) {
			char *end = at + strcspn(at, "\n");

			conf_blank(at, end);
			at = end;
		} else if (at[0] == '/' && at[1] == '*') {
			char *end = strstr(at + 2, "*/");

			if (!end)
				return false;
			conf_blank(at, end + 2);
			at = end + 2;
		} else {
			at++;
		}
	}
	return true;
}

static char *skip_space(char *at)
{
	while (isspace((unsigned char)*at))
		at++;
	return at;
}

/* Past the brace that closes the one at at; NULL if there is none. */
static char *skip_braces(char *at)
{
	unsigned depth = 0;

	while (*at) {
		if (*at == '"' || *at == '\'') {
			at = skip_quoted(at);
			continue;
		}
		if (*at == '{')
			depth++;
		else if (*at == '}')
			depth--;
		at++;
		if (depth == 0)
			return at;
	}
	return NULL;
}

/* Past a text, quoted or not, or what stands between braces. */
static char *skip_item(char *at)
{
	char *end;

	if (*at != '{')
		return *at == '"' || *at == '\'' ? skip_quoted(at)
						 : at + strcspn(at, " \t\r\n={},;\"'");
	end = skip_braces(at);
	return end ? end : at + strlen(at);
}

char *conf_skip_statement(char *at)
{
	char *next = skip_space(at), *brace;

	if (*next == '=' || (next[0] == '+' && next[1] == '='))
		return skip_item(skip_space(next + (*next == '=' ? 1 : 2)));
	brace = *next == '{' ? next : skip_space(skip_item(next));
	return *brace == '{' ? skip_item(brace) : at;
}

bool conf_is_name(char octet)
{
	return isalnum((unsigned char)octet) || octet == '_' || octet == '-';
}

/* Past the name, quoted or not, at which a statement begins; at least one octet. */
static char *skip_statement_name(char *at)
{
	char *end = skip_item(at);

	return end > at ? end : at + 1;
}

bool conf_select_section(char *text, const char *name, bool keep)
{
	size_t length = strlen(name);
	char *at = skip_space(text);

	while (*at) {
		char *end = skip_statement_name(at), *brace = skip_space(end);
		bool is_section = (size_t)(end - at) == length &&
				  strncmp(at, name, length) == 0 && *brace == '{';

		end = is_section ? skip_braces(brace) : conf_skip_statement(end);
		if (!end)
			return false;
		if (is_section != keep)
			conf_blank(at, end);
		at = skip_space(end);
	}
	return true;
}
