/*
 * The kernel does not wait if a process or thread that exits is who closes last.  So a
 * thread takes descriptors of its own, which are copies of all that we have, we close
 * ours, and it exits.
 */
#include "dracd/abandon.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DRAIN_MAX = 32, /* times 16 KiB: more than a socket holds */
};

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

struct files {
	size_t count;
	int files[];
};

static void *close_files(void *userdata)
{
	struct files *files = userdata;

	for (size_t i = 0; i < files->count; i++)
		close(files->files[i]);
	free(files);
	return NULL;
}

/* In a thread that nobody waits for; or here, where there is no memory for that. */
static void close_aside(const int *files, size_t count)
{
	struct files *copy = malloc(sizeof(*copy) + count * sizeof(*files));
	pthread_t thread;

	if (copy) {
		copy->count = count;
		memcpy(copy->files, files, count * sizeof(*files));
		if (pthread_create(&thread, NULL, close_files, copy) == 0) {
			(void)pthread_detach(thread);
			return;
		}
	}
	free(copy);
	for (size_t i = 0; i < count; i++)
		close(files[i]);
}

void abandon_files(const int *files, size_t count)
{
	struct heir heir = {0};
	pthread_t thread;
	bool has_heir;

	if (count == 0)
		return;
	sem_init(&heir.has_copies, 0, 0);
	sem_init(&heir.may_end, 0, 0);
	has_heir = pthread_create(&thread, NULL, inherit, &heir) == 0;
	if (has_heir)
		await(&heir.has_copies);
	if (has_heir && heir.has_failed)
		close_aside(files, count);
	else
		for (size_t i = 0; i < count; i++)
			close(files[i]);
	if (has_heir) {
		sem_post(&heir.may_end);
		/* it is over for this before it closes anything */
		(void)pthread_join(thread, NULL);
	}
	sem_destroy(&heir.has_copies);
	sem_destroy(&heir.may_end);
}

struct rights {
	/* with less room the kernel closes the others */
	_Alignas(struct cmsghdr) char data[CMSG_SPACE(FILES_MAX * sizeof(int))];
};

ssize_t receive_with_files(
	int fd, char *data, size_t size, int ret_files[FILES_MAX], size_t *ret_count)
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

	*ret_count = 0;
	if (got < 0)
		return -errno;
	header = message.msg_controllen > 0 ? CMSG_FIRSTHDR(&message) : NULL;
	if (header && header->cmsg_level == SOL_SOCKET &&
		header->cmsg_type == SCM_RIGHTS) {
		size_t length = header->cmsg_len - CMSG_LEN(0);

		memcpy(ret_files, CMSG_DATA(header), length);
		*ret_count = length / sizeof(*ret_files);
	}
	return got;
}

/* Octets that nobody has read are the common case, and descriptors among them are not; so
 * what is there is read, without a thread.  False: there is more than that. */
static bool drain(int fd)
{
	int files[FILES_MAX];
	char octets[16384];
	size_t count;

	/* from now on nothing more comes */
	if (shutdown(fd, SHUT_RD) < 0)
		return false;
	for (unsigned i = 0; i < DRAIN_MAX; i++) {
		ssize_t got =
			receive_with_files(fd, octets, sizeof(octets), files, &count);

		abandon_files(files, count);
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
		abandon_files(&fd, 1);
}
