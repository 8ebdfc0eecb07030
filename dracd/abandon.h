/*
 * Closing what a peer may have made slow to close.
 *
 * The close(2) of a TCP socket may wait for what the one who made it has set, for days
 * (socket(7), SO_LINGER), and that of a file for a file system of his.  Whoever may
 * connect to us can hand such a descriptor over (unix(7), SCM_RIGHTS), and if nobody
 * takes it, it is closed by the kernel when we read on, or close the connection.
 */
#ifndef DRACD_ABANDON_H
#define DRACD_ABANDON_H

#include <stddef.h>
#include <sys/types.h>

enum {
	FILES_MAX = 253, /* that come together (SCM_MAX_FD) */
};

/* Receives octets without waiting, as recv(2), and all the descriptors that come with
 * them, which are the caller's.  Returns the number of octets, or a negative errno. */
ssize_t receive_with_files(int fd, char *data, size_t size, int ret_files[FILES_MAX],
	size_t *ret_count) __attribute__((warn_unused_result));

/* Closes files of ours without waiting for anything that the kernel waits for then.
 * Without memory for a thread it may wait. */
void abandon_files(const int *files, size_t count);

/* Closes a connection with all that its peer has sent and nobody has read. */
void abandon_connection(int fd);

#endif
