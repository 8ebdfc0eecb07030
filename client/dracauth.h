/*
 * libdrac: tells a DRAC server (dracd, or rpc.dracd of old) that a mail user has logged
 * in from an address, which may then relay for a while.  See dracauth(3).
 *
 * The eight calls are those of DRAC 1.12, with the same arguments and results; the shared
 * library has the same name, so programs that are linked to that one need no change.
 *
 * All may be called from several threads at the same time, and in a child after the
 * fork() of a process with one thread.
 *
 * Results: 0 success; -1 no server found, or not connected; -2 the server has not
 * answered; 1 the server does not permit it; 2 it could not store the address; 3 its
 * answer is not known.  If errmsg is not NULL, *errmsg is set to a text in every case, of
 * success too; it belongs to the library, and lasts until the thread's next call.
 */
#ifndef DRACAUTH_H
#define DRACAUTH_H

#ifdef __cplusplus
extern "C" {
#endif

/* userip: an IPv4 address in network byte order, as inet_addr() returns it. */
int dracauth(const char *server, unsigned long userip, char **errmsg);

/* One connection for many addresses; a process has one of each family. */
int dracconn(const char *server, char **errmsg);
int dracsend(unsigned long userip, char **errmsg);
int dracdisc(char **errmsg);

/* userip6: the sixteen octets of an IPv6 address, as inet_pton() writes them. */
int dracauth6(const char *server, const unsigned char *userip6, char **errmsg);
int dracconn6(const char *server, char **errmsg);
int dracsend6(const unsigned char *userip6, char **errmsg);
int dracdisc6(char **errmsg);

#ifdef __cplusplus
}
#endif

#endif
