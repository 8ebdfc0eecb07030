/* The spellings of an address in the question of an MTA. */
#include <string.h>
#include <strings.h>

#include "dracd/lookup.h"

bool lookup_key_parse(const char *text, size_t length, struct address *ret)
{
	char key[sizeof("ipv6:") + INET6_ADDRSTRLEN];

	if (length >= sizeof(key) || memchr(text, '\0', length))
		return false;
	memcpy(key, text, length);
	key[length] = '\0';
	if (strncasecmp(key, "ipv6:", 5) == 0)
		return strchr(key + 5, ':') && address_parse(key + 5, ret) == 0;
	return address_parse(key, ret) == 0;
}
