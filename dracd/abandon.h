/*
 * Descriptors that a peer hands over, and closing what he may have made slow to close.
 *
 * The close(2) of a TCP socket may wait for what the one who made it has set, for days
 * (socket(7), SO_LINGER), and that of a file for a file system of his (fuse(4)), even if
 * others have it open, too.  Whoever may connect to us can hand such a descriptor over
 * (unix(7), SCM_RIGHTS), and the kernel closes what nobody takes when we read on, or
 * close the connection.  So none is taken unless it was asked for, and a connection that
 * still holds some is left to somebody else to close.
 */
#ifndef DRACD_ABANDON_H
#define DRACD_ABANDON_H

#include <stddef.h>
#include <sys/types.h>

/* A new connection: what its peer sends urgently comes as all the rest does.  Else
 * receive_octets() would not see it, nor the descriptors that come with it. */
void receive_in_order(int fd);

/* Receives octets without waiting, as recv(2).  Returns their number or a negative errno;
 * -EBADMSG: descriptors come with them or behind them, and nothing has been received. */
ssize_t receive_octets(int fd, char *data, size_t size)
	__attribute__((warn_unused_result));

/* The same, with the one descriptor that may come with them, which is the caller's; else
 * *ret_file is left alone.  -EBADMSG: there are several, which have been closed. */
ssize_t receive_with_file(int fd, char *data, size_t size, int *ret_file)
	__attribute__((warn_unused_result));

/* Closes a file that was asked for, if it is not negative, by a thread that may wait as
 * long as it likes. */
void close_aside(int *file);

/* Closes a unix socket, with all that peers have sent and nobody has read; of one that
 * listens, of the connections that were not accepted.  Without memory for a thread or a
 * process it may wait. */
void abandon_socket(int fd);

/* The same for a connection, of which there may be very many. */
void abandon_connection(int fd);

#endif
