/* What several commands read from an answer. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl_command.h"

int ctl_failed(int r)
{
	return r == -EMSGSIZE ? CTL_USAGE : CTL_NO_ANSWER;
}

unsigned long long ctl_number(const struct words *words, const char *key)
{
	unsigned long long number = 0;

	return words_get_number(words, key, &number) == 0 ? number : 0;
}

const char *ctl_value(const struct words *words, const char *key, const char *other)
{
	const char *value = words_get(words, key);

	return value && *value ? value : other;
}

int ctl_say_error(const struct words *words)
{
	const char *reason = ctl_value(words, "reason", "unknown");
	const char *text = ctl_value(words, "text", "");

	if (strcmp(reason, "denied") == 0)
		fprintf(stderr, "dracctl: not permitted: %s\n",
			*text ? text : "this is for root and the members of admin_group");
	else
		fprintf(stderr, "dracctl: dracd answers %s%s%s\n", reason,
			*text ? ": " : "", text);
	return strcmp(reason, "syntax") == 0 ? CTL_USAGE : CTL_REFUSED;
}

const char *ctl_reason_text(const char *reason)
{
	static const struct {
		const char *reason;
		const char *text;
	} texts[] = {
		{"no_lease", "no lease"},
		{"unspecified", "the unspecified address"},
		{"multicast", "multicast address"},
		{"broadcast", "broadcast address"},
		{"link_local", "link-local address"},
		{"own_address", "this host's own address"},
		{"router", "this host's default router, which forwards logins of others"},
		{"loopback", "loopback address"},
		{"private", "private address"},
		{"shared", "address of a provider's shared range (100.64.0.0/10)"},
		{"documentation", "documentation address"},
		{"reserved", "reserved address"},
		{"never_lease", "excluded by never_lease"},
		{"denied", "denied by deny"},
		{"revoked", "revoked"},
		{"not_in_networks", "outside of lease_networks"},
		{"service", "logins by this service give no lease"},
		{"user_never", "excluded by never_lease_users"},
		{"user_revoked", "the user is revoked"},
		{"client_is_local", "the client is the server itself, or a proxy"},
		{"max_leases", "max_leases is reached"},
		{"max_leases_per_user", "max_leases_per_user is reached"},
		{"max_leases_per_reporter", "max_leases of the reporter is reached"},
		{"max_rate",
			"the reporter reports more logins a second than its max_rate"},
		{"mode", "mode is observe"},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].reason, reason) == 0)
			return texts[i].text;
	return reason;
}

int ctl_state_status(const struct words *words)
{
	const char *state = ctl_value(words, "state", "");

	if (strcmp(state, "ok") == 0)
		return CTL_STATUS_OK;
	return strcmp(state, "warning") == 0 ? CTL_STATUS_WARNING : CTL_STATUS_CRITICAL;
}
