/*
 * drac-postlogin: what its two modes share.
 *
 * The rule above all others: a mail login is never harmed.  Whatever is wrong (options,
 * environment, dracd, descriptors), the session goes on, nothing is written to standard
 * output (it is the mail client's connection), and each failure is one line on
 * standard error.
 */
#ifndef CLIENT_POSTLOGIN_H
#define CLIENT_POSTLOGIN_H

#include <signal.h>
#include <stdbool.h>

struct postlogin_options {
	const char *socket_path; /* of dracd's report socket */
	const char *service;     /* "imap", "pop3" ...; NULL: not said */
	const char *problem; /* NULL, or a static text: the options are wrong, nothing is
				reported, logins go on */
	unsigned budget_ms;  /* for all that has to do with dracd, per login */
	bool wait;           /* ask dracd to answer when published */
	bool serve;
};

/* Script-login mode: reports the login the environment tells of, then becomes
 * program[0] with the arguments program.  Returns only if that fails: an exit status.
 * pipe_action is what SIGPIPE is set back to for the program. */
int postlogin_script(const struct postlogin_options *options, char **program,
	const struct sigaction *pipe_action);

/* Served mode: answers Dovecot's post-login requests until Dovecot goes away.  Returns an
 * exit status. */
int postlogin_serve(const struct postlogin_options *options);

#endif
