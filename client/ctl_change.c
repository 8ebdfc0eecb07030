/* The commands of dracctl that change something: add, revoke, unblock, flush, reload. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl_command.h"
#include "client/ctl_text.h"

enum {
	ADD_WAIT_MS = 3000, /* for publication */
};

/* Asks and reads up to the final line; problems and warnings before it go to standard
 * error.  Returns CONTROL_OK, or CONTROL_NO for a NO the caller
 * words; else *ret_status is the exit status. */
static int ask(struct ctl_context *context, struct line *request, struct words *ret,
	int *ret_status)
{
	int r = control_ask(context->control, request);

	if (r < 0) {
		*ret_status = ctl_failed(r);
		return r;
	}
	while ((r = control_next(context->control, ret)) == CONTROL_DATA)
		if (words_is(ret, 0, "problem") || words_is(ret, 0, "warning"))
			fprintf(stderr, "%s\n", ctl_value(ret, "text", "?"));
	*ret_status = CTL_NO_ANSWER;
	if (r == CONTROL_ERR)
		*ret_status = ctl_say_error(ret);
	return r;
}

static void add_target(struct line *line, const struct ctl_arguments *arguments)
{
	if (arguments->address)
		line_add(line, "address", arguments->address);
	if (arguments->user)
		line_add(line, "user", arguments->user);
}

static const char *target_of(const struct ctl_arguments *arguments)
{
	return arguments->address ? arguments->address : arguments->user;
}

static const char *plural(unsigned long long count)
{
	return count == 1 ? "" : "s";
}

/* "All 2 lookups and 1 map refuse it now." and, if it is so, "1 map is still ...".  what
 * is refused: "it", "them"; NULL if nothing is. */
static void print_effect(const struct words *words, const char *what)
{
	unsigned long long lookups = ctl_number(words, "lookups");
	unsigned long long late = ctl_number(words, "maps_late");
	unsigned long long maps = ctl_number(words, "maps");

	maps -= late < maps ? late : maps;
	if (what && lookups + maps > 0) {
		printf(lookups > 1 || maps > 1 ? " All " : " The ");
		if (lookups > 0)
			printf("%llu lookup%s", lookups, plural(lookups));
		printf(lookups > 0 && maps > 0 ? " and " : "");
		if (maps > 0)
			printf("%llu map%s", maps, plural(maps));
		printf(" refuse%s %s now.", lookups + maps == 1 ? "s" : "", what);
	}
	if (late > 0)
		printf(" %llu map%s still to be written, see dracctl status.", late,
			late == 1 ? " is" : "s are");
	putchar('\n');
}

static int refused(const struct words *words, const char *what)
{
	const char *hint = ctl_value(words, "hint", NULL),
		   *text = ctl_value(words, "text", NULL);

	fprintf(stderr, "dracctl: %s: refused: %s%s%s%s%s\n", what,
		ctl_reason_text(ctl_value(words, "reason", "?")), hint ? "; see " : "",
		hint ? hint : "", text ? ": " : "", text ? text : "");
	return CTL_REFUSED;
}

int ctl_add(struct ctl_context *context)
{
	const struct ctl_arguments *arguments = context->arguments;
	char until[TEXT_SIZE], left[TEXT_SIZE];
	struct words words;
	struct line line;
	int r, status;

	line_init(&line, "add");
	add_target(&line, arguments);
	if (arguments->service)
		line_add(&line, "service", arguments->service);
	if (arguments->has_time)
		line_add_number(&line, "ttl_ms", arguments->time_ms);
	line_add_number(&line, "wait_ms", ADD_WAIT_MS);
	r = ask(context, &line, &words, &status);
	if (r == CONTROL_NO)
		return refused(&words, arguments->address);
	if (r != CONTROL_OK)
		return status;
	printf("%s %s until %s (%s)%s\n",
		words_is(&words, 1, "renewed") ? "renewed" : "granted",
		ctl_value(&words, "address", arguments->address),
		text_time(ctl_number(&words, "until_ms"), context->now, until),
		text_span(ctl_number(&words, "left_ms"), left),
		strcmp(ctl_value(&words, "published", "yes"), "yes") == 0
			? ""
			: "; not in every map yet, see dracctl status");
	return CTL_DONE;
}

/* "revoked 203.0.113.9 (27 users); no new lease before 16:32." */
static void print_revoked(struct ctl_context *context, const struct words *words)
{
	const struct ctl_arguments *arguments = context->arguments;
	unsigned long long leases = ctl_number(words, "leases");
	unsigned long long users = ctl_number(words, "users");
	char until[TEXT_SIZE];

	printf("revoked %s%s (", arguments->address ? "" : "user ",
		ctl_value(words, arguments->address ? "address" : "user",
			target_of(arguments)));
	if (leases == 0)
		printf("no lease)");
	else if (arguments->address && leases == 1)
		printf("%llu user%s)", users, plural(users));
	else if (arguments->address)
		printf("%llu leases, %llu user%s)", leases, users, plural(users));
	else
		printf("%llu lease%s)", leases, plural(leases));
	if (words_get(words, "until_ms"))
		printf("; no new lease before %s.",
			text_minute_up(
				ctl_number(words, "until_ms"), context->now, until));
	else
		printf("; the next login gives a new lease.");
	print_effect(words, arguments->address ? "it" : leases ? "them" : NULL);
	if (arguments->address && users > 1)
		printf("note: this address is shared; to shut out one account only: dracctl "
		       "revoke --user %s\n",
			ctl_value(words, "user", "NAME"));
}

int ctl_revoke(struct ctl_context *context)
{
	const struct ctl_arguments *arguments = context->arguments;
	struct words words;
	struct line line;
	int r, status;

	line_init(&line, "revoke");
	add_target(&line, arguments);
	if (arguments->has_hold)
		line_add_number(&line, "hold_ms", arguments->hold_ms);
	if (arguments->reason)
		line_add(&line, "reason", arguments->reason);
	r = ask(context, &line, &words, &status);
	if (r == CONTROL_NO)
		return refused(&words, target_of(arguments));
	if (r != CONTROL_OK)
		return status;
	print_revoked(context, &words);
	return CTL_DONE;
}

int ctl_unblock(struct ctl_context *context)
{
	const char *target = target_of(context->arguments);
	struct words words;
	struct line line;
	int r, status;

	line_init(&line, "unblock");
	add_target(&line, context->arguments);
	r = ask(context, &line, &words, &status);
	if (r == CONTROL_NO && strcmp(ctl_value(&words, "reason", ""), "no_block") == 0) {
		fprintf(stderr, "dracctl: %s is not blocked\n", target);
		return CTL_REFUSED;
	}
	if (r == CONTROL_NO)
		return refused(&words, target);
	if (r != CONTROL_OK)
		return status;
	printf("unblocked %s\n", target);
	return CTL_DONE;
}

/* Returns CTL_DONE if all leases are really to be ended. */
static int confirm_flush(void)
{
	char answer[8] = "";

	if (!isatty(STDIN_FILENO)) {
		fputs("dracctl: flush ends all leases; say --yes where nobody can be asked\n",
			stderr);
		return CTL_USAGE;
	}
	fputs("End all leases? Nobody relays before his next login. [y/N] ", stdout);
	fflush(stdout);
	if (fgets(answer, sizeof(answer), stdin) &&
		(answer[0] == 'y' || answer[0] == 'Y'))
		return CTL_DONE;
	fputs("dracctl: nothing is changed\n", stderr);
	return CTL_REFUSED;
}

int ctl_flush(struct ctl_context *context)
{
	unsigned long long leases;
	struct words words;
	struct line line;
	int r, status = context->arguments->yes ? CTL_DONE : confirm_flush();

	if (status != CTL_DONE)
		return status;
	line_init(&line, "flush");
	r = ask(context, &line, &words, &status);
	if (r == CONTROL_NO)
		return refused(&words, "flush");
	if (r != CONTROL_OK)
		return status;
	leases = ctl_number(&words, "leases");
	printf("flushed: %llu lease%s ended.", leases, plural(leases));
	print_effect(&words, leases == 0 ? NULL : leases == 1 ? "it" : "them");
	return CTL_DONE;
}

int ctl_reload(struct ctl_context *context)
{
	unsigned long long late;
	struct words words;
	struct line line;
	int r, status;

	line_init(&line, "reload");
	r = ask(context, &line, &words, &status);
	if (r == CONTROL_OK) {
		late = ctl_number(&words, "maps_late");
		puts("reloaded");
		if (late > 0)
			fprintf(stderr,
				"dracctl: %llu map%s not yet as configured: \"dracctl "
				"maps\" and dracd's log tell why\n",
				late, late == 1 ? " is" : "s are");
		return CTL_DONE;
	}
	if (r == CONTROL_NO)
		return refused(&words, "reload");
	if (r == CONTROL_ERR)
		fputs("dracctl: the configuration in force is the old one\n", stderr);
	return status;
}
