/*
 * dracctl renew: the leases of users whose mail sessions last.
 *
 * Tells dracd on its report socket, as any reporter does, of each session that doveadm
 * lists; dracd extends the leases there are and grants none.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl_command.h"
#include "client/ctl_sessions.h"

enum {
	/* Sent before the first answer is awaited: as many as dracd works on at a time.
	 */
	AHEAD_MAX = 64,
};

struct tally {
	unsigned long long renewed, no_lease, refused, failed;
};

/* One answer to a renewal.  0, or the exit status with which to give up. */
static int take_answer(
	struct control *control, const struct session_group *group, struct tally *tally)
{
	struct words words;
	int r = control_next(control, &words);

	if (r < 0)
		return CTL_NO_ANSWER;
	if (r == CONTROL_OK) {
		tally->renewed += group->count;
	} else if (r == CONTROL_NO) {
		if (strcmp(ctl_value(&words, "reason", ""), "no_lease") == 0)
			tally->no_lease += group->count;
		else
			tally->refused += group->count;
	} else if (strcmp(ctl_value(&words, "reason", ""), "denied") == 0) {
		fprintf(stderr,
			"dracctl: not permitted: this account is not among the reporters "
			"of drac.conf\n");
		return CTL_REFUSED;
	} else if (strcmp(ctl_value(&words, "reason", ""), "syntax") == 0) {
		/* a user or service that no login can have had */
		tally->refused += group->count;
	} else {
		tally->failed += group->count;
	}
	return 0;
}

/* Sends one renewal; one that does not fit into a line can have had no login. */
static int send_renewal(struct control *control, const struct session_group *group)
{
	struct line line;

	line_init(&line, "renew");
	line_add(&line, "address", group->address);
	line_add(&line, "user", group->user);
	line_add(&line, "service", group->service);
	if (line.overflow)
		line_init(&line, "renew"); /* counted as refused, by its answer */
	return control_send(control, &line);
}

/* Reports all groups.  0 or the exit status with which to give up. */
static int report_groups(
	struct control *control, const struct sessions *sessions, struct tally *tally)
{
	size_t sent = 0, answered = 0;

	control->who = "root and the members of report_group";
	if (control_connect(control) < 0)
		return CTL_NO_ANSWER;
	while (answered < sessions->count) {
		int status;

		if (sent < sessions->count && sent - answered < AHEAD_MAX) {
			if (send_renewal(control, &sessions->groups[sent]) < 0)
				return CTL_NO_ANSWER;
			sent++;
			continue;
		}
		status = take_answer(control, &sessions->groups[answered], tally);
		if (status != 0)
			return status;
		answered++;
	}
	return 0;
}

static void print_tally(const struct sessions *sessions, const struct tally *tally)
{
	const char *before = " (";

	printf("renewed the leases of %llu of %llu sessions", tally->renewed,
		sessions->all);

	const struct {
		unsigned long long count;
		const char *what;
	} rest[] = {
		{tally->no_lease, "without a lease"},
		{tally->refused, "refused"},
		{sessions->without, "without an address or user"},
		{tally->failed, "not stored"},
	};

	for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++) {
		if (rest[i].count == 0)
			continue;
		printf("%s%llu %s", before, rest[i].count, rest[i].what);
		before = ", ";
	}
	puts(before[0] == ',' ? ")" : "");
}

/* Reads the list from the file of the arguments.  0 or an exit status. */
static int read_sessions(const char *file, struct sessions *sessions)
{
	const char *name = strcmp(file, "-") == 0 ? "standard input" : file, *problem;
	FILE *from = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
	unsigned long line;
	int r;

	if (!from) {
		fprintf(stderr, "dracctl: %s: %s\n", name, strerror(errno));
		return CTL_USAGE;
	}
	r = sessions_read(from, sessions, &line, &problem);
	if (r == -EBADMSG)
		fprintf(stderr, "dracctl: %s: line %lu: %s; nothing is renewed\n", name,
			line, problem);
	else if (r < 0)
		fprintf(stderr, "dracctl: %s: %s; nothing is renewed\n", name,
			r == -E2BIG ? "too many sessions" : strerror(-r));
	if (from != stdin)
		fclose(from);
	return r < 0 ? CTL_USAGE : 0;
}

int ctl_renew(struct ctl_context *context)
{
	struct sessions sessions = {0};
	struct tally tally = {0};
	int status = read_sessions(context->arguments->file, &sessions);

	if (status == 0 && sessions.count > 0)
		status = report_groups(context->control, &sessions, &tally);
	if (status == 0 && tally.failed > 0) {
		fprintf(stderr,
			"dracctl: dracd could not store %llu renewals; see its log\n",
			tally.failed);
		status = CTL_REFUSED;
	}
	if ((status == 0 && !context->arguments->quiet) || tally.failed > 0)
		print_tally(&sessions, &tally);
	sessions_done(&sessions);
	return status;
}
