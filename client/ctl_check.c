/* dracctl check: may an address relay, and why. */
#include <stdio.h>
#include <string.h>

#include "client/ctl_command.h"
#include "client/ctl_json.h"
#include "client/ctl_text.h"

/* " of bob@x.net by imap" */
static void print_login(const struct words *words)
{
	const char *user = ctl_value(words, "user", NULL),
		   *service = ctl_value(words, "service", NULL);

	if (user)
		printf(" of %s", user);
	if (service)
		printf(" by %s", service);
}

static void print_permit(
	struct ctl_context *context, const struct words *words, bool observe)
{
	const char *address = ctl_value(words, "address", context->arguments->address);
	const char *lease = ctl_value(words, "lease", address);
	char until[TEXT_SIZE], left[TEXT_SIZE], login[TEXT_SIZE];

	printf("%s %s relay until %s (%s): login", address, observe ? "would" : "may",
		text_time(ctl_number(words, "until_ms"), context->now, until),
		text_span(ctl_number(words, "left_ms"), left));
	print_login(words);
	if (words_get(words, "login_ms"))
		printf(" at %s",
			text_time(ctl_number(words, "login_ms"), context->now, login));
	if (strcmp(lease, address) != 0)
		printf("; the lease is for %s", lease);
	if (observe)
		printf("; but mode is observe: every MTA is told no");
	putchar('\n');
	if (words_get(words, "unseen_by"))
		printf("note: not by lookup %s, which by its services or networks does not see "
		       "the lease\n",
			ctl_value(words, "unseen_by", "?"));
}

/* " Last login 14:01 (scan@y.org, pop3) refused: private address; see lease_special" */
static void print_last_refusal(struct ctl_context *context, const struct words *words)
{
	const char *user = ctl_value(words, "user", NULL),
		   *service = ctl_value(words, "service", NULL);
	const char *hint = ctl_value(words, "hint", NULL);
	char when[TEXT_SIZE];

	printf(". Last login %s",
		text_minute(ctl_number(words, "refused_ms"), context->now, when));
	if (user || service)
		printf(" (%s%s%s)", user ? user : "", user && service ? ", " : "",
			service ? service : "");
	printf(" refused: %s", ctl_reason_text(ctl_value(words, "refused_reason", "?")));
	if (hint)
		printf("; see %s", hint);
}

static void print_refusal(struct ctl_context *context, const struct words *words)
{
	const char *text = ctl_value(words, "text", NULL);
	char until[TEXT_SIZE];

	printf("%s may not relay: %s",
		ctl_value(words, "address", context->arguments->address),
		ctl_reason_text(ctl_value(words, "reason", "no_lease")));
	if (words_get(words, "until_ms"))
		printf(" until %s", text_minute_up(ctl_number(words, "until_ms"),
					    context->now, until));
	if (text)
		printf(": %s", text);
	if (words_get(words, "refused_reason"))
		print_last_refusal(context, words);
	else if (ctl_value(words, "hint", NULL))
		printf("; see %s", ctl_value(words, "hint", NULL));
	putchar('\n');
}

static int print_json(const struct words *words, bool may_relay)
{
	json_t *object = ctl_json_object(words);

	if (object) {
		json_object_del(object, "permit");
		if (json_object_set_new(object, "may_relay", json_boolean(may_relay)) <
			0) {
			json_decref(object);
			object = NULL;
		}
	}
	return ctl_json_print(object);
}

int ctl_check(struct ctl_context *context)
{
	bool observe, may_relay;
	struct words words;
	struct line line;
	int r;

	line_init(&line, "check");
	line_add(&line, "address", context->arguments->address);
	r = control_ask(context->control, &line);
	if (r < 0)
		return ctl_failed(r);
	do {
		r = control_next(context->control, &words);
	} while (r == CONTROL_DATA);
	if (r < 0)
		return CTL_NO_ANSWER;
	if (r == CONTROL_ERR)
		return ctl_say_error(&words) == CTL_USAGE ? CTL_USAGE : CTL_NO_ANSWER;

	observe = strcmp(ctl_value(&words, "mode", ""), "observe") == 0;
	may_relay = r == CONTROL_OK && !observe;
	if (context->arguments->json) {
		if (print_json(&words, may_relay) < 0)
			return CTL_NO_ANSWER;
	} else if (r == CONTROL_OK) {
		print_permit(context, &words, observe);
	} else {
		print_refusal(context, &words);
	}
	return may_relay ? CTL_MAY_RELAY : CTL_MAY_NOT_RELAY;
}
