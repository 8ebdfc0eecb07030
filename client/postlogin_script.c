/*
 * Script-login mode.  Dovecot's script-login runs us once per login with the login in the
 * environment and descriptors that are not ours: 0 and 1 the mail client, 3 the way back
 * to the mail process.  We open one socket, close it, and run the next program.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "client/postlogin.h"
#include "client/postlogin_login.h"
#include "client/postlogin_message.h"
#include "client/report.h"

/* True if the list of names, separated by spaces, has name in it. */
static bool has_name(const char *list, const char *name)
{
	size_t length = strlen(name);

	while (*list) {
		size_t word = strcspn(list, " ");

		if (word == length && strncasecmp(list, name, length) == 0)
			return true;
		list += word + strspn(list + word, " ");
	}
	return false;
}

/* script-login sets IP, LOCAL_IP and USER first and the fields of the user database, with
 * their names in capitals, over them; USERDB_KEYS names those fields. */
static const char *find_override(void)
{
	const char *keys = getenv("USERDB_KEYS");

	if (!keys)
		return NULL;
	if (has_name(keys, "IP"))
		return "a user database field named \"ip\" overrides the client address";
	if (has_name(keys, "LOCAL_IP"))
		return "a user database field named \"local_ip\" overrides the local address";
	if (has_name(keys, "USER"))
		return "a user database field named \"user\" overrides the user name";
	return NULL;
}

static void report(const struct postlogin_options *options)
{
	struct postlogin_login login = {
		.remote_ip = getenv("IP"),
		.local_ip = getenv("LOCAL_IP"),
		.user = getenv("USER"),
		.mechanism = getenv("AUTH_MECH"),
	};
	struct postlogin_report report;
	struct line answer;
	struct words words;
	const char *problem;
	int outcome;

	if (postlogin_login_is_anonymous(&login))
		return;
	problem = find_override();
	if (!problem)
		problem = postlogin_login_prepare(&login, options, &report);
	if (problem) {
		postlogin_say_unreported(login.user, login.remote_ip, problem);
		return;
	}
	outcome = report_login(
		options->socket_path, &report.login, options->budget_ms, &answer, &words);
	postlogin_login_say(&login, options, outcome, &words);
}

/* Static, we are immune to what the dynamic loader obeys; script-login, which follows, is
 * not.  Without root's rights that is the user's own affair. */
static void warn_root(void)
{
	if (geteuid() != 0)
		return;
	for (char **at = environ; *at; at++)
		if (strncmp(*at, "LD_", 3) == 0) {
			postlogin_say(
				"the user database sets a variable that the dynamic loader "
				"obeys, and this runs as root: give the Dovecot service a "
				"user, see drac-postlogin(8)");
			return;
		}
}

int postlogin_script(const struct postlogin_options *options, char **program,
	const struct sigaction *pipe_action)
{
	report(options);
	warn_root();
	sigaction(SIGPIPE, pipe_action, NULL);
	execv(program[0], program);
	postlogin_say("cannot run %s: %s", program[0], strerror(errno));
	return EXIT_FAILURE;
}
