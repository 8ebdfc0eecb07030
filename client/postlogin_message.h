/* Lines on standard error, which under Dovecot is its log. */
#ifndef CLIENT_POSTLOGIN_MESSAGE_H
#define CLIENT_POSTLOGIN_MESSAGE_H

/* Writes "drac-postlogin: TEXT" and LF in one write(2).  Never blocks: when standard
 * error cannot take the line now, the line is lost.  Expects SIGPIPE to be ignored. */
void postlogin_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same for a login that was not reported.  user and address come from outside and are
 * escaped and shortened; they may be NULL. */
void postlogin_say_unreported(const char *user, const char *address, const char *why);

#endif
