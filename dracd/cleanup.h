/* Ownership in one word: a local that is released when it goes out of scope. */
#ifndef DRACD_CLEANUP_H
#define DRACD_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(release) __attribute__((cleanup(release)))

/* Hands the value on and forgets it here. */
#define TAKE_PTR(pointer)                                                                \
	({                                                                               \
		__typeof__(pointer) *taken_ = &(pointer);                                \
		__typeof__(pointer) value_ = *taken_;                                    \
		*taken_ = NULL;                                                          \
		value_;                                                                  \
	})

static inline int take_fd(int *fd)
{
	int value = *fd;

	*fd = -1;
	return value;
}

static inline void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static inline void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

#endif
