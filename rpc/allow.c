/*
 * DRAC's way to read its file, in all points that decide who is permitted: lines of at
 * most 127 octets (what is longer goes on as a line of its own), a comment only where '#'
 * is the first octet, two fields of digits and dots at the start of the line, anything
 * after them, and inet_addr(3) for both, which takes shortened and octal forms and makes
 * 255.255.255.255 of what it cannot read.
 */
#include "rpc/allow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	LINE_SIZE = 128,
	FIELD_SIZE = 32,
};

struct fields {
	char mask[LINE_SIZE];
	char address[LINE_SIZE];
};

static int add_rule(struct allow *allow, const struct allow_rule *rule)
{
	struct allow_rule *grown =
		reallocarray(allow->rules, allow->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	allow->rules = grown;
	grown[allow->count++] = *rule;
	return 0;
}

/* What is wrong with a rule that can be kept; NULL if nothing is. */
static const char *judge(const struct fields *fields, const struct allow_rule *rule)
{
	struct in_addr unused;

	if (!inet_aton(fields->address, &unused))
		return "the second field is no IPv4 address; the line permits nobody";
	if (rule->address & ~rule->mask)
		return "host bits are set in the second field (the netmask comes first); "
		       "the line permits nobody";
	if (!inet_aton(fields->mask, &unused))
		return "the first field is no netmask; read as 255.255.255.255";
	return NULL;
}

/* One line of the file. */
static int read_line(const char *line, struct allow *allow, const char **ret_problem)
{
	struct allow_rule rule;
	struct fields fields;

	*ret_problem = NULL;
	if (line[0] == '#' || line[strspn(line, " \t\r\n")] == '\0')
		return 0;
	if (sscanf(line, "%127[0-9.] %127[0-9.]", fields.mask, fields.address) != 2) {
		*ret_problem = "not \"netmask address\" from its first column on; "
			       "passed over";
		return 0;
	}
	/* these overrun DRAC's own buffers */
	if (strlen(fields.mask) >= FIELD_SIZE || strlen(fields.address) >= FIELD_SIZE) {
		*ret_problem = "a field is longer than 31 characters; passed over";
		return 0;
	}
	rule.mask = inet_addr(fields.mask);
	rule.address = inet_addr(fields.address);
	*ret_problem = judge(&fields, &rule);
	return add_rule(allow, &rule);
}

/* fgets(3), and whether it has read a whole line; a NUL octet may be in it. */
static bool get_line(FILE *file, char line[LINE_SIZE], bool *ret_is_whole)
{
	const char *end;

	memset(line, 1, LINE_SIZE);
	if (!fgets(line, LINE_SIZE, file))
		return false;
	end = memrchr(line, '\0', LINE_SIZE);
	*ret_is_whole = end && end > line && end[-1] == '\n';
	return true;
}

int allow_read(FILE *file, struct allow *ret, allow_tell *tell, void *context)
{
	struct allow allow = {0};
	char line[LINE_SIZE];
	unsigned number = 1;
	bool is_whole;
	int r = 0;

	while (r == 0 && get_line(file, line, &is_whole)) {
		const char *problem;

		r = read_line(line, &allow, &problem);
		if (problem)
			tell(number, problem, context);
		if (is_whole)
			number++;
		else if (!feof(file))
			tell(number,
				"longer than 127 octets; its rest is read as a line "
				"of its own",
				context);
	}
	if (r == 0 && ferror(file))
		r = -EIO;
	if (r < 0)
		allow_done(&allow);
	else
		*ret = allow;
	return r;
}

static int copy_list(const struct prefix_list *from, struct prefix_list *to)
{
	int r = 0;

	for (size_t i = 0; i < from->count && r == 0; i++)
		r = prefix_list_add(to, &from->items[i]);
	return r;
}

int allow_load(const char *path, const struct prefix_list *own, struct allow *ret,
	allow_tell *tell, void *context)
{
	FILE *file = fopen(path, "re");
	struct allow allow = {.is_absent = true};
	int r;

	if (!file && errno != ENOENT)
		return -errno;
	if (file) {
		r = allow_read(file, ret, tell, context);
		fclose(file);
		return r;
	}
	r = copy_list(own, &allow.own);
	if (r < 0)
		allow_done(&allow);
	else
		*ret = allow;
	return r;
}

static int add_text(struct prefix_list *list, const char *text)
{
	struct prefix prefix;
	int r = prefix_parse(text, &prefix);

	return r < 0 ? r : prefix_list_add(list, &prefix);
}

int allow_own_addresses(struct prefix_list *ret)
{
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
	struct prefix_list own = {0};
	struct addrinfo *found = NULL;
	char name[HOST_NAME_MAX + 1];
	int r;

	r = add_text(&own, "127.0.0.1");
	if (r == 0)
		r = add_text(&own, "::1");
	/* without a name that can be resolved these two are all, as with DRAC */
	if (gethostname(name, sizeof(name)) < 0 ||
		getaddrinfo(name, NULL, &hints, &found) != 0)
		found = NULL;
	for (const struct addrinfo *at = found; at && r == 0; at = at->ai_next) {
		struct prefix prefix = {prefix_of_sockaddr(at->ai_addr), 128};

		r = prefix_list_add(&own, &prefix);
	}
	if (found)
		freeaddrinfo(found);
	if (r < 0)
		prefix_list_done(&own);
	else
		*ret = own;
	return r;
}

bool allow_permits(const struct allow *allow, const struct in6_addr *caller)
{
	uint32_t address;

	if (allow->is_absent)
		return prefix_list_contains(&allow->own, caller);
	if (!IN6_IS_ADDR_V4MAPPED(caller))
		return false;
	memcpy(&address, caller->s6_addr + 12, sizeof(address));
	for (size_t i = 0; i < allow->count; i++)
		if ((address & allow->rules[i].mask) == allow->rules[i].address)
			return true;
	return false;
}

void allow_done(struct allow *allow)
{
	free(allow->rules);
	prefix_list_done(&allow->own);
	*allow = (struct allow){0};
}
