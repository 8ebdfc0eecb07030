/*
 * dracctl recipe: what an MTA or Dovecot is told, with the paths of the dracd that runs.
 *
 * The texts are those of the README, and those that the interop tests run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl_command.h"

enum {
	PATH_SIZE = 256,
};

/* Postfix of Debian runs chrooted here, and names what lies in it relative to it. */
#define QUEUE_DIRECTORY "/var/spool/postfix/"
#define HELPER_DEFAULT "/usr/libexec/dracd/drac-postlogin"

/* What a recipe is about; the first seven are found in the answer to "status". */
enum source {
	SOURCE_POLICY,
	SOURCE_POSTFIX_SOCKETMAP,
	SOURCE_SENDMAIL_SOCKETMAP,
	SOURCE_POSTFIX_MAP,
	SOURCE_SENDMAIL_MAP,
	SOURCE_ACCESS_MAP,
	SOURCE_COUNT,
	SOURCE_HELPER = SOURCE_COUNT, /* is always there */
};

/* What dracd has of each source: the first of its kind. */
struct found {
	char type[32];        /* of a map */
	char path[PATH_SIZE]; /* empty: none */
};

#define ADD_POSTFIX_GROUP                                                                \
	"usermod -aG postfix dracd\n"                                                    \
	"install -d -o dracd -g postfix -m 0750 /var/spool/postfix/dracd\n"              \
	"systemctl restart dracd\n"

/* What makes it exist: for drac.conf, and commands. */
static const char *const missing[SOURCE_COUNT] = {
	[SOURCE_POLICY] =
		"no policy lookup. Run\n" ADD_POSTFIX_GROUP
		"and, if drac.conf has lookup sections, put into it before the last of these\n"
		"lookup postfix { protocol = policy  path = \"/var/spool/postfix/dracd/policy\"  group = postfix }\n",
	[SOURCE_POSTFIX_SOCKETMAP] =
		"no socketmap lookup in " QUEUE_DIRECTORY ". Put into drac.conf\n"
		"lookup postfix { protocol = socketmap  path = \"/var/spool/postfix/dracd/socketmap\"  group = postfix }\n"
		"and run\n" ADD_POSTFIX_GROUP,
	[SOURCE_SENDMAIL_SOCKETMAP] =
		"no socketmap lookup for Sendmail. Run\n"
		"usermod -aG smmsp dracd\n"
		"systemctl restart dracd\n"
		"and, if drac.conf has lookup sections, put into it before the last of these\n"
		"lookup sendmail { protocol = socketmap  path = \"/run/dracd/socketmap\"  group = smmsp }\n",
	[SOURCE_POSTFIX_MAP] =
		"no map with keys = postfix. Put into drac.conf\n"
		"map postfix { type = hash  keys = postfix  path = \"/var/lib/dracd/maps/postfix\" }\n"
		"and run\n"
		"systemctl restart dracd\n",
	[SOURCE_SENDMAIL_MAP] =
		"no map with keys = sendmail. Put into drac.conf\n"
		"map sendmail { type = hash  keys = sendmail  path = \"/var/lib/dracd/maps/drac\" }\n"
		"and run\n"
		"systemctl restart dracd\n",
	[SOURCE_ACCESS_MAP] =
		"no map with keys = access in a file named access.db. Put into drac.conf\n"
		"map access { type = hash  keys = access  path = \"/var/lib/dracd/maps/access\"  static = \"/etc/mail/access\" }\n"
		"and run\n"
		"systemctl restart dracd\n",
};

#define MAIN_CF(ask)                                                                     \
	"# main.cf; then: postfix reload\n"                                              \
	"smtpd_relay_restrictions =\n"                                                   \
	"    permit_mynetworks\n"                                                        \
	"    permit_sasl_authenticated\n"                                                \
	"    permit_auth_destination\n"                                                  \
	"    " ask "\n"                                                                  \
	"    reject_unauth_destination\n"

#define SENDMAIL_MC                                                                      \
	"dnl sendmail.mc, before MAILER_DEFINITIONS; then: make -C /etc/mail && "        \
	"systemctl restart sendmail\n"

#define DOVECOT_CONF                                                                     \
	"# /etc/dovecot/conf.d/99-dracd.conf; then: doveadm reload\n"                    \
	"service imap {\n"                                                               \
	"  executable = imap -t 10 drac-imap\n"                                          \
	"}\n"                                                                            \
	"service pop3 {\n"                                                               \
	"  executable = pop3 -t 10 drac-pop3\n"                                          \
	"}\n"

#define DOVECOT_SERVE(protocol)                                                          \
	"service drac-" protocol " {\n"                                                  \
	"  executable = @PATH@ --serve --service " protocol "\n"                         \
	"  user = drac-login\n"                                                          \
	"  drop_priv_before_exec = yes\n"                                                \
	"  process_min_avail = 1\n"                                                      \
	"  process_limit = 4\n"                                                          \
	"  client_limit = 100\n"                                                         \
	"  unix_listener drac-" protocol " {\n"                                          \
	"  }\n"                                                                          \
	"}\n"

#define DOVECOT_SCRIPT(protocol)                                                         \
	"service drac-" protocol " {\n"                                                  \
	"  executable = script-login @PATH@ --service " protocol "\n"                    \
	"  user = drac-login\n"                                                          \
	"  unix_listener drac-" protocol " {\n"                                          \
	"  }\n"                                                                          \
	"}\n"

#define SERVE DOVECOT_CONF DOVECOT_SERVE("imap") DOVECOT_SERVE("pop3")
#define SCRIPT DOVECOT_CONF DOVECOT_SCRIPT("imap") DOVECOT_SCRIPT("pop3")

/* In a text @PATH@ stands for the path, @DIRECTORY@ for the directory it is in, with a
 * slash, and @TYPE@ for the type of the map. */
static const struct recipe {
	const char *name;
	const char *summary;
	enum source source;
	const char *text;
} recipes[] = {
	{"dovecot-2.3", "drac-postlogin as a service of its own (recommended)",
		SOURCE_HELPER, SERVE},
	{"dovecot-2.3-script", "drac-postlogin under script-login", SOURCE_HELPER,
		SCRIPT},
	{"dovecot-2.4", "the same as dovecot-2.3", SOURCE_HELPER, SERVE},
	{"dovecot-2.4-script", "the same as dovecot-2.3-script", SOURCE_HELPER, SCRIPT},
	{"postfix-policy", "Postfix asks dracd (recommended)", SOURCE_POLICY,
		MAIN_CF("check_policy_service { unix:@PATH@, timeout=2s, try_limit=2, "
			"retry_delay=1s, default_action=DUNNO, policy_context=drac }")},
	{"postfix-socketmap", "Postfix asks dracd, as a table", SOURCE_POSTFIX_SOCKETMAP,
		MAIN_CF("check_client_access socketmap:unix:@PATH@:drac")},
	{"postfix-hash", "Postfix reads a map", SOURCE_POSTFIX_MAP,
		MAIN_CF("check_client_access @TYPE@:@PATH@")},
	{"sendmail-socket", "Sendmail asks dracd: FEATURE(drac) (recommended)",
		SOURCE_SENDMAIL_SOCKETMAP,
		SENDMAIL_MC "FEATURE(`drac', `socket -o unix:@PATH@')dnl\n"},
	{"sendmail-hash", "Sendmail reads a map: FEATURE(drac)", SOURCE_SENDMAIL_MAP,
		SENDMAIL_MC "FEATURE(`drac', `@TYPE@ -o @PATH@')dnl\n"},
	{"sendmail-access", "Sendmail reads access_db, your own file merged in",
		SOURCE_ACCESS_MAP,
		SENDMAIL_MC "pushdef(`MAIL_SETTINGS_DIR', `@DIRECTORY@')dnl\n"
			    "FEATURE(`access_db', , `skip')dnl\n"
			    "popdef(`MAIL_SETTINGS_DIR')dnl\n"},
};

enum {
	RECIPE_COUNT = sizeof(recipes) / sizeof(recipes[0])
};

static int is_in_queue_directory(const char *path)
{
	return strncmp(path, QUEUE_DIRECTORY, sizeof(QUEUE_DIRECTORY) - 1) == 0;
}

/* Which source a lookup or map of the answer is; SOURCE_COUNT: none. */
static enum source classify(const struct words *words)
{
	const char *path = ctl_value(words, "path", "");
	const char *protocol = ctl_value(words, "protocol", "");
	const char *keys = ctl_value(words, "keys", "");
	const char *name = strrchr(path, '/');

	if (words_is(words, 0, "lookup")) {
		if (strcmp(protocol, "policy") == 0)
			return SOURCE_POLICY;
		if (strcmp(protocol, "socketmap") != 0)
			return SOURCE_COUNT;
		return is_in_queue_directory(path) ? SOURCE_POSTFIX_SOCKETMAP
						   : SOURCE_SENDMAIL_SOCKETMAP;
	}
	if (!words_is(words, 0, "map"))
		return SOURCE_COUNT;
	if (strcmp(keys, "postfix") == 0)
		return SOURCE_POSTFIX_MAP;
	if (strcmp(keys, "sendmail") == 0)
		return SOURCE_SENDMAIL_MAP;
	/* FEATURE(access_db) has that name, if it is not to be written there */
	if (strcmp(keys, "access") == 0 && name && strcmp(name, "/access") == 0)
		return SOURCE_ACCESS_MAP;
	return SOURCE_COUNT;
}

/* The helper that was installed with this program. */
static void find_helper(struct found *ret)
{
	static const char program[] = "/sbin/dracctl",
			  helper[] = "/libexec/dracd/drac-postlogin";
	char path[PATH_SIZE];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - sizeof(helper));

	snprintf(ret->path, sizeof(ret->path), "%s", HELPER_DEFAULT);
	if (length < (ssize_t)sizeof(program))
		return;
	path[length] = '\0';
	length -= (ssize_t)sizeof(program) - 1;
	if (strcmp(path + length, program) != 0)
		return;
	memcpy(path + length, helper, sizeof(helper));
	if (access(path, F_OK) == 0)
		memcpy(ret->path, path, sizeof(path));
}

/* Reads what dracd has.  CTL_DONE or the exit status. */
static int read_sources(struct ctl_context *context, struct found found[SOURCE_COUNT + 1])
{
	struct words words;
	struct line line;
	int r;

	line_init(&line, "status");
	if (control_ask(context->control, &line) < 0)
		return CTL_NO_ANSWER;
	while ((r = control_next(context->control, &words)) == CONTROL_DATA) {
		enum source source = classify(&words);
		struct found *place = &found[source];
		const char *path = ctl_value(&words, "path", "");

		if (source == SOURCE_COUNT || *place->path ||
			strlen(path) >= sizeof(place->path))
			continue;
		snprintf(place->path, sizeof(place->path), "%s", path);
		snprintf(place->type, sizeof(place->type), "%s",
			ctl_value(&words, "type", "hash"));
	}
	if (r == CONTROL_OK) {
		find_helper(&found[SOURCE_HELPER]);
		return CTL_DONE;
	}
	if (r == CONTROL_ERR || r == CONTROL_NO)
		(void)ctl_say_error(&words);
	return CTL_NO_ANSWER;
}

/* Prints the text with the words for its places. */
static void print_text(const struct recipe *recipe, const struct found *found)
{
	const char *path = found->path, *end = strrchr(path, '/');

	const struct {
		const char *place;
		const char *word;
		size_t length;
	} places[] = {
		{"@PATH@", path, strlen(path)},
		{"@DIRECTORY@", path, end ? (size_t)(end - path) + 1 : 0},
		{"@TYPE@", found->type, strlen(found->type)},
	};

	for (const char *at = recipe->text; *at;) {
		size_t i, count = sizeof(places) / sizeof(places[0]);

		for (i = 0; i < count; i++)
			if (strncmp(at, places[i].place, strlen(places[i].place)) == 0)
				break;
		if (i == count) {
			putchar(*at++);
			continue;
		}
		fwrite(places[i].word, 1, places[i].length, stdout);
		at += strlen(places[i].place);
	}
}

static int print_recipe(const struct recipe *recipe, struct found *found)
{
	size_t skip = sizeof(QUEUE_DIRECTORY) - 1;

	if (!*found->path) {
		fprintf(stderr, "dracctl: recipe %s: dracd has %s", recipe->name,
			missing[recipe->source]);
		return CTL_REFUSED;
	}
	if ((recipe->source == SOURCE_POLICY ||
		    recipe->source == SOURCE_POSTFIX_SOCKETMAP) &&
		is_in_queue_directory(found->path))
		memmove(found->path, found->path + skip, strlen(found->path + skip) + 1);
	print_text(recipe, found);
	return CTL_DONE;
}

static const struct recipe *find_recipe(const char *name)
{
	for (size_t i = 0; i < RECIPE_COUNT; i++)
		if (strcmp(recipes[i].name, name) == 0)
			return &recipes[i];
	fprintf(stderr, "dracctl: no such recipe: %s; there are", name);
	for (size_t i = 0; i < RECIPE_COUNT; i++)
		fprintf(stderr, "%s %s", i ? "," : "", recipes[i].name);
	fputc('\n', stderr);
	return NULL;
}

int ctl_recipe(struct ctl_context *context)
{
	const char *name = context->arguments->recipe;
	const struct recipe *recipe = name ? find_recipe(name) : NULL;
	struct found found[SOURCE_COUNT + 1] = {0};
	int status;

	if (name && !recipe)
		return CTL_USAGE;
	status = read_sources(context, found);
	if (status != CTL_DONE)
		return status;
	if (recipe)
		return print_recipe(recipe, &found[recipe->source]);
	for (size_t i = 0; i < RECIPE_COUNT; i++)
		if (*found[recipes[i].source].path)
			printf("%-19s %s\n", recipes[i].name, recipes[i].summary);
	return CTL_DONE;
}
