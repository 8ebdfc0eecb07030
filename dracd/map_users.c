/* The users of a lease, for the list that cPanel made known: "address: user, user". */
#include "dracd/map_users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool map_shows_users(const struct map_config *map)
{
	return map->type == MAP_RELAYHOSTSUSERS;
}

static int append(struct text *text, const char *data, size_t length)
{
	size_t wanted = text->length + length, room = text->room ? text->room : 4096;
	char *grown;

	while (room < wanted)
		room *= 2;
	if (room != text->room) {
		grown = realloc(text->data, room);
		if (!grown)
			return -ENOMEM;
		text->data = grown;
		text->room = room;
	}
	memcpy(text->data + text->length, data, length);
	text->length = wanted;
	return 0;
}

/* A name that ends neither the line nor its place in it. */
static bool is_plain(const char *user)
{
	for (const char *at = user; *at; at++)
		if ((unsigned char)*at <= ' ' || *at == 0x7f || strchr(",:\"#", *at))
			return false;
	return *user;
}

int map_users_add(struct table_reader *reader, const struct lease *lease,
	uint64_t boot_usec, struct text *text)
{
	bool is_first = true;
	int r = 0;

	for (unsigned i = lease->share_count; i > 0 && r == 0; i--) {
		struct share share;

		r = table_read_share(
			reader, &lease->address, lease->shares[i - 1], &share);
		if (r != 0)
			return r < 0 ? r : -EUCLEAN;
		if (share.deadline_boot_usec <= boot_usec || !is_plain(share.user))
			continue;
		if (!is_first)
			r = append(text, ", ", 2);
		if (r == 0)
			r = append(text, share.user, strlen(share.user));
		is_first = false;
	}
	return r == 0 ? append(text, "", 1) : r;
}
