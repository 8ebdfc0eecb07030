/* One at a time uses the state directory. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "dracd/cleanup.h"
#include "dracd/file.h"
#include "dracd/published.h"
#include "dracd/state.h"
#include "dracd/store.h"

enum {
	LOCK_TRIES =
		100, /* the guardian of a dracd that died may be at work: at most 5 s */
	LOCK_WAIT_USEC = 50000,
};

bool state_is_marked(int directory)
{
	return faccessat(directory, STATE_MARKER, F_OK, 0) == 0;
}

/* What was open when the file system turned read-only can be withdrawn all the same. */
static int open_lock(int directory)
{
	const int flags = O_NOFOLLOW | O_CLOEXEC;
	int lock = openat(directory, "lock", O_RDWR | O_CREAT | flags, 0600);

	if (lock < 0 && errno == EROFS)
		lock = openat(directory, "lock", O_RDONLY | flags);
	return lock < 0 ? -errno : lock;
}

int state_open(const char *path, int *ret_directory, int *ret_lock)
{
	_cleanup_(close_fd) int directory = open(path, O_DIRECTORY | O_CLOEXEC);
	_cleanup_(close_fd) int lock = -1;

	if (directory < 0)
		return -errno;
	lock = open_lock(directory);
	if (lock < 0)
		return lock;
	for (unsigned tries = LOCK_TRIES; flock(lock, LOCK_EX | LOCK_NB) < 0; tries--) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (tries == 0)
			return -EBUSY;
		usleep(LOCK_WAIT_USEC);
	}
	file_sweep(directory, STATE_MARKER);
	file_sweep(directory, BLOCKS_FILE);
	file_sweep(directory, PUBLISHED_FILE);
	*ret_directory = take_fd(&directory);
	*ret_lock = take_fd(&lock);
	return 0;
}
