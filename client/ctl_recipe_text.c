/* The texts of the recipes: those of the README, and those that the interop tests run. */
#include "client/ctl_recipe.h"

/* ---- what makes a lookup or a map exist ---- */

#define POSTFIX_GROUP                                                                    \
	"usermod -aG postfix dracd\n"                                                    \
	"install -d -o dracd -g postfix -m 0750 /var/spool/postfix/dracd\n"              \
	"systemctl restart dracd\n"

#define LACKS_MAP(what, line) LACKS_MAP_FIRST(what, line, "")

/* With what is to be run before dracd is started again. */
#define LACKS_MAP_FIRST(what, line, first)                                               \
	"no map with " what ". Put into drac.conf\n" line "\n"                           \
	"and run\n" first "systemctl restart dracd\n"

/* ---- Dovecot ---- */

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

/* ---- Postfix ---- */

#define MAIN_CF(ask)                                                                     \
	"# main.cf; then: postfix reload\n"                                              \
	"smtpd_relay_restrictions =\n"                                                   \
	"    permit_mynetworks\n"                                                        \
	"    permit_sasl_authenticated\n"                                                \
	"    permit_auth_destination\n"                                                  \
	"    " ask "\n"                                                                  \
	"    reject_unauth_destination\n"

#define POSTFIX_MAP(map_type, map_path) POSTFIX_MAP_FOR(map_type, map_path, "", "")

#define POSTFIX_MAP_FOR(map_type, map_path, options, first)                              \
	.section = "map", .type = map_type, .keys = "postfix",                           \
	.text = MAIN_CF("check_client_access " map_type ":@PATH@"),                      \
	.missing = LACKS_MAP_FIRST("type = " map_type " and keys = postfix",             \
		"map postfix { type = " map_type "  keys = postfix  path = \"" map_path  \
		"\"" options " }",                                                       \
		first)

/* ---- Sendmail ---- */

#define SENDMAIL_MC                                                                      \
	"dnl sendmail.mc, before MAILER_DEFINITIONS; then: make -C /etc/mail && "        \
	"systemctl restart sendmail\n"

#define SENDMAIL_MAP(map_type, map_path)                                                 \
	.section = "map", .type = map_type, .keys = "sendmail",                          \
	.text = SENDMAIL_MC "FEATURE(`drac', `" map_type " -o @PATH@')dnl\n",            \
	.missing = LACKS_MAP("type = " map_type " and keys = sendmail",                  \
		"map sendmail { type = " map_type                                        \
		"  keys = sendmail  path = \"" map_path "\" }")

/* ---- Exim ---- */

#define EXIM_ACL(ask)                                                                    \
	"# in the ACL for RCPT (Debian: acl_check_rcpt), before what denies relaying; "  \
	"then: update-exim4.conf && systemctl reload exim4\n"                            \
	"  accept\n"                                                                     \
	"    ! domains = +local_domains : +relay_to_domains\n"                           \
	"    " ask "\n"                                                                  \
	"    control = submission/sender_retain\n"

/* Exim names the file itself, and would tell a client 421 where it is missing. */
#define EXIM_FILE(file, list) EXIM_ACL("hosts = ${if exists{" file "}{" list "}}")

/* Keys that are texts: the address, and the IPv6 network that it is in. */
#define EXIM_KEYS(type, file)                                                            \
	EXIM_FILE(file, "net-" type ";" file " : net64-" type ";" file)

#define EXIM_MAP(map_type, map_keys, line)                                               \
	.section = "map", .type = map_type, .keys = map_keys,                            \
	.missing = LACKS_MAP("type = " map_type " and keys = " map_keys, line)

const struct recipe recipes[] = {
	{.name = "dovecot-2.3",
		.summary = "drac-postlogin as a service of its own (recommended)",
		.text = SERVE},
	{.name = "dovecot-2.3-script",
		.summary = "drac-postlogin under script-login",
		.text = SCRIPT},
	{.name = "dovecot-2.4", .summary = "the same as dovecot-2.3", .text = SERVE},
	{.name = "dovecot-2.4-script",
		.summary = "the same as dovecot-2.3-script",
		.text = SCRIPT},

	{.name = "postfix-policy",
		.summary = "Postfix asks dracd (recommended)",
		.section = "lookup",
		.type = "policy",
		.text = MAIN_CF("check_policy_service { unix:@PATH@, timeout=2s, "
				"try_limit=2, retry_delay=1s, default_action=DUNNO, "
				"policy_context=drac }"),
		.missing = "no policy lookup. Run\n" POSTFIX_GROUP
			   "and, if drac.conf has lookup sections, put into it before "
			   "the last of these\n"
			   "lookup postfix { protocol = policy  path = "
			   "\"/var/spool/postfix/dracd/policy\"  group = postfix }\n"},
	{.name = "postfix-socketmap",
		.summary = "Postfix asks dracd, as a table",
		.section = "lookup",
		.type = "socketmap",
		.place = PLACE_IN_QUEUE,
		.text = MAIN_CF("check_client_access socketmap:unix:@PATH@:drac"),
		.missing =
			"no socketmap lookup in " QUEUE_DIRECTORY ". Put into drac.conf\n"
			"lookup postfix { protocol = socketmap  path = "
			"\"/var/spool/postfix/dracd/socketmap\"  group = postfix }\n"
			"and run\n" POSTFIX_GROUP},
	{.name = "postfix-lmdb",
		.summary = "Postfix reads a map, and sees changes at once",
		POSTFIX_MAP_FOR("lmdb", "/var/lib/dracd/maps/postfix",
			"  group = postfix  mode = 0640", "usermod -aG postfix dracd\n")},
	{.name = "postfix-cdb",
		.summary = "Postfix reads a map",
		POSTFIX_MAP("cdb", "/var/lib/dracd/maps/postfix")},
	{.name = "postfix-hash",
		.summary = "Postfix reads a map, where it has Berkeley DB",
		POSTFIX_MAP("hash", "/var/lib/dracd/maps/postfix")},
	{.name = "postfix-btree",
		.summary = "the same",
		POSTFIX_MAP("btree", "/var/lib/dracd/maps/postfix-btree")},

	{.name = "sendmail-socket",
		.summary = "Sendmail asks dracd: FEATURE(drac) (recommended)",
		.section = "lookup",
		.type = "socketmap",
		.place = PLACE_NOT_IN_QUEUE,
		.text = SENDMAIL_MC "FEATURE(`drac', `socket -o unix:@PATH@')dnl\n",
		.missing = "no socketmap lookup for Sendmail. Run\n"
			   "usermod -aG smmsp dracd\n"
			   "systemctl restart dracd\n"
			   "and, if drac.conf has lookup sections, put into it before "
			   "the last of these\n"
			   "lookup sendmail { protocol = socketmap  path = "
			   "\"/run/dracd/socketmap\"  group = smmsp }\n"},
	{.name = "sendmail-hash",
		.summary = "Sendmail reads a map: FEATURE(drac)",
		SENDMAIL_MAP("hash", "/var/lib/dracd/maps/drac")},
	{.name = "sendmail-btree",
		.summary = "the same",
		SENDMAIL_MAP("btree", "/var/lib/dracd/maps/drac-btree")},
	{.name = "sendmail-access",
		.summary = "Sendmail reads access_db, your own file merged in",
		.section = "map",
		.type = "hash",
		.keys = "access",
		.place = PLACE_ACCESS,
		.text = SENDMAIL_MC "pushdef(`MAIL_SETTINGS_DIR', `@DIRECTORY@')dnl\n"
				    "FEATURE(`access_db', , `skip')dnl\n"
				    "popdef(`MAIL_SETTINGS_DIR')dnl\n",
		.missing = LACKS_MAP("keys = access in a file named access.db",
			"map access { type = hash  keys = access  path = "
			"\"/var/lib/dracd/maps/access\"  static = "
			"\"/etc/mail/access\" }")},
	{.name = "sendmail-sequence",
		.summary = "Sendmail reads access_db: your own map, then dracd's",
		.section = "map",
		.type = "hash",
		.keys = "access",
		.place = PLACE_NOT_ACCESS,
		.text = SENDMAIL_MC "LOCAL_CONFIG\n"
				    "Kaccstatic hash -T<TMPF> /etc/mail/access\n"
				    "Kaccleases hash -o -T<TMPF> @PATH@\n"
				    "FEATURE(`access_db', `sequence accstatic "
				    "accleases')dnl\n",
		.missing = LACKS_MAP("keys = access in a file not named access.db",
			"map leases { type = hash  keys = access  path = "
			"\"/var/lib/dracd/maps/leases\" }")},

	{.name = "exim-readsocket",
		.summary = "Exim asks dracd (recommended)",
		.section = "lookup",
		.type = "plain",
		.text = EXIM_ACL("condition = ${if match{${readsocket{@PATH@}{drac "
				 "$sender_host_address\\n}{2s}{}{no}}}{\\N^yes\\N}}"),
		.missing = "no plain lookup. Put into drac.conf\n"
			   "lookup exim { protocol = plain  path = \"/run/dracd/plain\"  "
			   "group = Debian-exim }\n"
			   "and run\n"
			   "usermod -aG Debian-exim dracd\n"
			   "systemctl restart dracd\n"},
	{.name = "exim-iplsearch",
		.summary = "Exim reads a list (recommended for up to 10,000 leases)",
		EXIM_MAP("iplsearch", "plain",
			"map exim { type = iplsearch  keys = plain  path = "
			"\"/var/lib/dracd/maps/relayhosts\" }"),
		.text = EXIM_FILE("@PATH@", "net-iplsearch;@PATH@")},
	{.name = "exim-cdb",
		.summary = "Exim reads a map",
		EXIM_MAP("cdb", "exim",
			"map exim { type = cdb  keys = exim  path = "
			"\"/var/lib/dracd/maps/exim\" }"),
		.text = EXIM_KEYS("cdb", "@PATH@.cdb")},
	{.name = "exim-dbm",
		.summary = "Exim reads a map, where it has Berkeley DB",
		EXIM_MAP("hash", "exim",
			"map exim { type = hash  keys = exim  path = "
			"\"/var/lib/dracd/maps/exim-dbm\" }"),
		.nul = "yes",
		.text = EXIM_KEYS("dbm", "@PATH@.db")},
	{.name = "exim-dbmnz",
		.summary = "the same, keys without their NUL",
		EXIM_MAP("hash", "exim",
			"map exim { type = hash  keys = exim  nul = no  path = "
			"\"/var/lib/dracd/maps/exim-dbmnz\" }"),
		.nul = "no",
		.text = EXIM_KEYS("dbmnz", "@PATH@.db")},
	{.name = "exim-lsearch",
		.summary = "Exim reads a list of another form",
		EXIM_MAP("lsearch", "exim",
			"map exim { type = lsearch  keys = exim  path = "
			"\"/var/lib/dracd/maps/exim\" }"),
		.text = EXIM_KEYS("lsearch", "@PATH@")},
	{.name = "exim-relayhosts",
		.summary = "Exim reads a list of addresses, as cPanel has it",
		EXIM_MAP("relayhosts", "plain",
			"map addresses { type = relayhosts  keys = plain  path = "
			"\"/var/lib/dracd/maps/addresses\" }"),
		.text = EXIM_FILE("@PATH@", "net-iplsearch;@PATH@")},
};

const size_t recipe_count = sizeof(recipes) / sizeof(recipes[0]);
