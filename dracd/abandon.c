/*
 * The kernel does not wait if a process or thread that exits is who closes last.  So
 * somebody takes a copy of the descriptor, we close ours, and he exits: a thread with
 * descriptors of its own or, where a container's filter refuses those, a process.
 */
#include "dracd/abandon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	DRAIN_MAX = 32,    /* times 16 KiB: more than a socket holds */
	FILES_MAX = 253,   /* that come together (SCM_MAX_FD) */
	CHILDREN_MAX = 16, /* that have not ended yet */
};

/* ---- receiving ---- */

void receive_in_order(int fd)
{
	const int yes = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &yes, sizeof(yes));
}

ssize_t receive_octets(int fd, char *data, size_t size)
{
	struct iovec octets = {data, size};
	struct msghdr message = {.msg_iov = &octets, .msg_iovlen = 1};
	ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_PEEK);

	if (got > 0 && message.msg_flags & MSG_CTRUNC)
		return -EBADMSG;
	/* no more than was seen: what has come since may have descriptors */
	if (got > 0)
		got = recv(fd, data, (size_t)got, MSG_DONTWAIT);
	return got < 0 ? -errno : got;
}

struct rights {
	/* with less room the kernel closes the others */
	_Alignas(struct cmsghdr) char data[CMSG_SPACE(FILES_MAX * sizeof(int))];
};

ssize_t receive_with_file(int fd, char *data, size_t size, int *ret_file)
{
	struct rights rights;
	struct iovec octets = {data, size};
	struct msghdr message = {
		.msg_iov = &octets,
		.msg_iovlen = 1,
		.msg_control = rights.data,
		.msg_controllen = sizeof(rights.data),
	};
	ssize_t got = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header;
	int files[FILES_MAX];
	size_t count = 0;

	if (got < 0)
		return -errno;
	header = message.msg_controllen > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header && header->cmsg_level == SOL_SOCKET &&
		header->cmsg_type == SCM_RIGHTS) {
		size_t length = header->cmsg_len - CMSG_LEN(0);

		memcpy(files, CMSG_DATA(header), length);
		count = length / sizeof(*files);
	}
	if (count == 1)
		*ret_file = files[0];
	if (count <= 1)
		return got;
	while (count > 0)
		close_aside(&files[--count]);
	return -EBADMSG;
}

/* ---- closing ---- */

static void *close_it(void *file)
{
	close((int)(intptr_t)file);
	return NULL;
}

void close_aside(int *file)
{
	pthread_t thread;

	if (*file < 0)
		return;
	if (pthread_create(&thread, NULL, close_it, (void *)(intptr_t)*file) == 0)
		(void)pthread_detach(thread);
	else
		close(*file);
	*file = -1;
}

struct heir {
	sem_t has_copies, may_end;
	bool has_failed; /* as unshare(2) does for want of memory, or by a container's
			    filter */
};

static void await(sem_t *semaphore)
{
	while (sem_wait(semaphore) < 0 && errno == EINTR)
		continue;
}

static void *inherit(void *userdata)
{
	struct heir *heir = userdata;

	heir->has_failed = unshare(CLONE_FILES) < 0;
	sem_post(&heir->has_copies);
	await(&heir->may_end);
	return NULL;
}

static bool leave_to_thread(int fd)
{
	struct heir heir = {0};
	bool is_left = false;
	pthread_t thread;

	sem_init(&heir.has_copies, 0, 0);
	sem_init(&heir.may_end, 0, 0);
	if (pthread_create(&thread, NULL, inherit, &heir) == 0) {
		await(&heir.has_copies);
		is_left = !heir.has_failed;
		if (is_left)
			close(fd);
		sem_post(&heir.may_end);
		/* it is over for this before it closes anything */
		(void)pthread_join(thread, NULL);
	}
	sem_destroy(&heir.has_copies);
	sem_destroy(&heir.may_end);
	return is_left;
}

/* Takes note of the children that have ended; returns where there is room for one.  To
 * wait for that is no matter of the peer's, as a process that exits does not. */
static pid_t *make_room(void)
{
	/* of the loop's thread */
	static pid_t children[CHILDREN_MAX];
	pid_t *room = NULL;

	for (unsigned i = 0; i < CHILDREN_MAX; i++) {
		if (children[i] > 0 && waitpid(children[i], NULL, WNOHANG) != 0)
			children[i] = 0;
		if (children[i] == 0)
			room = &children[i];
	}
	if (room)
		return room;
	while (waitpid(children[0], NULL, 0) < 0 && errno == EINTR)
		continue;
	return &children[0];
}

/* A process costs some tenths of a millisecond more, and is waited for with the next. */
static bool leave_to_process(int fd)
{
	pid_t *child = make_room();
	bool is_left;
	char octet;
	int ends[2];

	*child = 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	*child = _Fork();
	if (*child == 0) {
		close(ends[1]);
		(void)!read(ends[0], &octet, 1); /* until we have closed ours */
		_exit(0);
	}
	is_left = *child > 0;
	if (is_left)
		close(fd);
	else
		*child = 0;
	close(ends[0]);
	close(ends[1]);
	return is_left;
}

void abandon_socket(int fd)
{
	if (!leave_to_thread(fd) && !leave_to_process(fd))
		close(fd);
}

/* Octets that nobody has read are the common case, and descriptors among them are not; so
 * what is there is read, without a thread.  False: there is more than that. */
static bool drain(int fd)
{
	char octets[16384];

	receive_in_order(fd);
	/* from now on nothing more comes */
	if (shutdown(fd, SHUT_RD) < 0)
		return false;
	for (unsigned i = 0; i < DRAIN_MAX; i++) {
		ssize_t got = receive_octets(fd, octets, sizeof(octets));

		if (got == -EBADMSG)
			return false;
		if (got <= 0)
			return true;
	}
	return false;
}

void abandon_connection(int fd)
{
	if (drain(fd))
		close(fd);
	else
		abandon_socket(fd);
}
