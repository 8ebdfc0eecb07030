/*
 * Everything is read before anything is reported: a list that ends in the middle, because
 * doveadm failed, renews nothing.  What is kept is bounded.
 */
#include "client/ctl_sessions.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
	ROW_SIZE_MAX = 4096,
	COLUMNS_MAX = 32,
	ROOM_FIRST = 256,
};

/* 64 MiB of users, addresses and services: more than a million sessions. */
static const size_t OCTETS_MAX = (size_t)64 << 20;

/* Which column is which. */
struct columns {
	unsigned count, user, address, service;
};

/* Cuts row at its tabs.  Returns the number of columns, more than COLUMNS_MAX if there
 * are too many. */
static unsigned split_row(char *row, char *ret[COLUMNS_MAX])
{
	unsigned count = 0;

	for (char *at = row; at && count <= COLUMNS_MAX; count++) {
		char *field = strsep(&at, "\t");

		if (count < COLUMNS_MAX)
			ret[count] = field;
	}
	return count;
}

/* Returns NULL or what is wrong. */
static const char *read_header(char *row, struct columns *ret)
{
	char *names[COLUMNS_MAX];
	unsigned none = COLUMNS_MAX;

	*ret = (struct columns){split_row(row, names), none, none, none};
	if (ret->count > COLUMNS_MAX)
		return "too many columns";
	for (unsigned i = 0; i < ret->count; i++) {
		if (strcmp(names[i], "username") == 0)
			ret->user = i;
		else if (strcmp(names[i], "ip") == 0)
			ret->address = i;
		else if (strcmp(names[i], "service") == 0 ||
			 strcmp(names[i], "proto") == 0)
			ret->service = i;
	}
	if (ret->user == none || ret->address == none || ret->service == none)
		return "this is no header of \"doveadm -f tab who -1\" with the columns "
		       "username, ip, and proto or service";
	return NULL;
}

/* Writes the address as dracd does: one text for each address.  False if it is none. */
static int normalize_address(const char *text, char ret[static INET6_ADDRSTRLEN])
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, text, &four) == 1)
		return inet_ntop(AF_INET, &four, ret, INET6_ADDRSTRLEN) != NULL;
	if (inet_pton(AF_INET6, text, &six) != 1)
		return 0;
	if (IN6_IS_ADDR_V4MAPPED(&six))
		return inet_ntop(AF_INET, &six.s6_addr[12], ret, INET6_ADDRSTRLEN) !=
		       NULL;
	return inet_ntop(AF_INET6, &six, ret, INET6_ADDRSTRLEN) != NULL;
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return (hash ^ '\t') * UINT64_C(0x100000001b3);
}

/* The slot of the group, or the free one where it belongs. */
static size_t *find_slot(
	const struct sessions *sessions, const struct session_group *group)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	size_t mask = sessions->room * 2 - 1, at;

	hash = hash_text(hash, group->user);
	hash = hash_text(hash, group->address);
	hash = hash_text(hash, group->service);
	for (at = (size_t)(hash ^ hash >> 32) & mask; sessions->slots[at];
		at = (at + 1) & mask) {
		const struct session_group *other =
			&sessions->groups[sessions->slots[at] - 1];

		if (strcmp(other->user, group->user) == 0 &&
			strcmp(other->address, group->address) == 0 &&
			strcmp(other->service, group->service) == 0)
			break;
	}
	return &sessions->slots[at];
}

static int grow(struct sessions *sessions)
{
	size_t room = sessions->room ? sessions->room * 2 : ROOM_FIRST;
	struct session_group *groups =
		reallocarray(sessions->groups, room, sizeof(*groups));
	size_t *slots = calloc(room * 2, sizeof(*slots));

	if (groups)
		sessions->groups = groups;
	if (!groups || !slots) {
		free(slots);
		return -ENOMEM;
	}
	free(sessions->slots);
	sessions->slots = slots;
	sessions->room = room;
	for (size_t i = 0; i < sessions->count; i++)
		*find_slot(sessions, &groups[i]) = i + 1;
	return 0;
}

/* Keeps a copy of the group, whose texts are borrowed, as the last one. */
static int keep(
	struct sessions *sessions, const struct session_group *group, size_t *slot)
{
	size_t user = strlen(group->user) + 1, address = strlen(group->address) + 1;
	size_t service = strlen(group->service) + 1;
	struct session_group *kept = &sessions->groups[sessions->count];
	char *block;

	if (sessions->octets + user + address + service > OCTETS_MAX)
		return -E2BIG;
	block = malloc(user + address + service);
	if (!block)
		return -ENOMEM;
	kept->user = memcpy(block, group->user, user);
	kept->address = memcpy(block + user, group->address, address);
	kept->service = memcpy(block + user + address, group->service, service);
	kept->count = 1;
	sessions->octets += user + address + service + sizeof(*kept);
	*slot = ++sessions->count;
	return 0;
}

static int add_group(struct sessions *sessions, const struct session_group *group)
{
	size_t *slot;
	int r;

	if (sessions->count == sessions->room) {
		r = grow(sessions);
		if (r < 0)
			return r;
	}
	slot = find_slot(sessions, group);
	if (!*slot)
		return keep(sessions, group, slot);
	sessions->groups[*slot - 1].count++;
	return 0;
}

static int read_row(struct sessions *sessions, char *row, const struct columns *columns,
	const char **ret_problem)
{
	char *fields[COLUMNS_MAX], address[INET6_ADDRSTRLEN];
	struct session_group group = {.address = address};

	if (split_row(row, fields) != columns->count) {
		*ret_problem = "it has not as many columns as the header";
		return -EBADMSG;
	}
	group.user = fields[columns->user];
	group.service = fields[columns->service];
	sessions->all++;
	if (!*group.user || !*fields[columns->address]) {
		sessions->without++;
		return 0;
	}
	if (!normalize_address(fields[columns->address], address)) {
		*ret_problem = "its ip is not an IPv4 or IPv6 address";
		return -EBADMSG;
	}
	return add_group(sessions, &group);
}

/* Reads a line without its LF.  1; 0 at the end; -EBADMSG with the problem. */
static int next_line(FILE *from, char row[ROW_SIZE_MAX], const char **ret_problem)
{
	size_t length;

	errno = 0;
	if (!fgets(row, ROW_SIZE_MAX, from))
		return ferror(from) ? (errno ? -errno : -EIO) : 0;
	length = strlen(row);
	if (length == 0 || row[length - 1] != '\n') {
		*ret_problem = length == ROW_SIZE_MAX - 1
				       ? "it is too long"
				       : "it is not whole: the input is cut short";
		return -EBADMSG;
	}
	row[length - 1] = '\0';
	return 1;
}

int sessions_read(FILE *from, struct sessions *sessions, unsigned long *ret_line,
	const char **ret_problem)
{
	char row[ROW_SIZE_MAX];
	struct columns columns;
	int r;

	*ret_line = 1;
	*ret_problem = "there is no header: the input is empty";
	r = next_line(from, row, ret_problem);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	*ret_problem = read_header(row, &columns);
	if (*ret_problem)
		return -EBADMSG;
	for (;;) {
		++*ret_line;
		r = next_line(from, row, ret_problem);
		if (r <= 0)
			return r;
		r = read_row(sessions, row, &columns, ret_problem);
		if (r < 0)
			return r;
	}
}

void sessions_done(struct sessions *sessions)
{
	for (size_t i = 0; i < sessions->count; i++)
		free((char *)(uintptr_t)sessions->groups[i].user);
	free(sessions->groups);
	free(sessions->slots);
}
