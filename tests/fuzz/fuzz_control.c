/*
 * All that is said on the control socket, and what it answers.  The first octet says in
 * what pieces it comes, the second who asks, how fast he reads, and whether answers are
 * there at once.
 */
#include "dracd/control.h"

#include "dracd/daemon.h"
#include "tests/fuzz/connection.h"
#include "tests/fuzz/core.h"
#include "tests/fuzz/daemon.h"

static struct block blocks_kept[] = {
	{.is_user = true, .user = "bob", .text = "a b", .until_boot_usec = UINT64_MAX},
	{.until_boot_usec = 1},
	{.address.length = 128, .until_boot_usec = UINT64_MAX},
};

/* One in which all is well, or one of warnings. */
static void set_world(struct daemon *daemon, bool is_well)
{
	struct address shared = {.length = 128};

	fuzz_daemon_set(is_well);
	daemon->guardian.pid = is_well;
	if (is_well)
		return;
	daemon->core.blocks_unsaved = true;
	for (uint8_t i = 0; i < 3; i++) {
		shared.ip.s6_addr[15] = i;
		FUZZ_ASSERT(prefix_set_add(&daemon->core.shared, &shared) == 0);
	}
}

static bool is_line(const struct words *words)
{
	static const char *const verbs[] = {"OK", "NO", "ERR", "dracd", "leases",
		"logins", "lookups", "reporter", "lookup", "map", "warning", "lease",
		"block"};

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (words_is(words, 0, verbs[i]))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reporter_settings limits[2] = {
		{.name = (char[]){"drac-rpcd"}, .max_leases = 9, .max_rate = 3},
		{.name = (char[]){"web"}}};
	struct config config = {.admin_group = 7,
		.reporter_count = 2,
		.reporter_limits = limits,
		.revoke_hold_usec = 3600 * USEC_PER_SEC,
		.mode = size > 1 && data[1] & 16 ? MODE_OBSERVE : MODE_ENFORCE};
	struct blocks blocks = {.references = 1, .count = 3, .items = blocks_kept};
	struct lookup_settings settings = {
		.name = (char[]){"postfix"},
		.socket.path = (char[]){"/run/p"},
		.view.services = {2, (char *[]){(char[]){"imap"}, (char[]){"pop3"}}},
		.view.networks.count = 1,
	};
	struct daemon_lookup lookup = {
		.settings = &settings, .protocol = &control_protocol};
	struct daemon daemon = {
		.lookups = {1, (struct daemon_lookup *[]){&lookup}},
		.core = {.config = &config,
			.blocks = &blocks,
			.publisher = (void *)&config},
		.started = &config,
	};
	struct talk how = {.protocol = &control_protocol,
		.context = &daemon,
		.go_on = fuzz_daemon_go_on};
	struct talked answers;

	if (size < 2)
		return 0;
	how.piece = data[0] + 1U;
	set_world(&daemon, data[1] & 16);
	how.uid = data[1] % 8; /* 7 is of admin_group, too */
	answers = fuzz_core_talk(&how, data[1], data + 2, size - 2);
	fuzz_check_lines(&answers, is_line);
	free(answers.text);
	prefix_set_done(&daemon.core.shared);
	return 0;
}
