/*
 * dracctl import-drac: the leases in a database of DRAC.
 *
 * We do not read the database, as we may be root: dracd has that done by a program that
 * is confined.  What it is given is a copy, in memory that nobody can change any more, so
 * that it need not be permitted to open the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "client/ctl_command.h"

enum {
	SIZE_MAX_OCTETS = 256 << 20, /* that dracd takes */
	LOCK_SECONDS = 5,
};

/* ---- the copy ---- */

static void on_alarm(int number)
{
	(void)number;
}

/* DRAC locks the file while it changes it, by the one or the other.  If the file system
 * has no locks, a copy that is not whole is found to be damaged.  -EBUSY: somebody who
 * may read the file keeps it locked. */
static int lock_against_writers(int file)
{
	const struct sigaction interrupt = {.sa_handler = on_alarm};
	/* again each second: the first may come between the two */
	const struct itimerval limit = {{.tv_sec = 1}, {.tv_sec = LOCK_SECONDS}};
	const struct itimerval none = {{0}, {0}};
	struct flock whole = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	bool is_late;

	(void)sigaction(SIGALRM, &interrupt, NULL);
	(void)setitimer(ITIMER_REAL, &limit, NULL);
	is_late = (flock(file, LOCK_SH) < 0 && errno == EINTR) ||
		  (fcntl(file, F_SETLKW, &whole) < 0 && errno == EINTR);
	(void)setitimer(ITIMER_REAL, &none, NULL);
	return is_late ? -EBUSY : 0;
}

static int copy_octets(int file, off_t size, int copy)
{
	off_t done = 0;

	while (done < size) {
		ssize_t n = sendfile(copy, file, &done, (size_t)(size - done));

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -EIO; /* it has become shorter */
	}
	return 0;
}

/* A sealed copy; -EINVAL: not a file, -EFBIG, -EBUSY: locked. */
static int copy_file(int file, int *ret)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	struct stat status;
	int copy, r;

	if (fstat(file, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode))
		return -EINVAL;
	if (status.st_size > SIZE_MAX_OCTETS)
		return -EFBIG;
	copy = memfd_create("drac", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (copy < 0)
		return -errno;
	r = lock_against_writers(file);
	if (r == 0)
		r = copy_octets(file, status.st_size, copy);
	if (r == 0 && fcntl(copy, F_ADD_SEALS, seals) < 0)
		r = -errno;
	if (r < 0)
		close(copy);
	else
		*ret = copy;
	return r;
}

/* 0, or the exit status after a message. */
static int open_copy(const char *path, int *ret)
{
	/* O_NONBLOCK: it may be a pipe */
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int r = file < 0 ? -errno : copy_file(file, ret);

	if (file >= 0)
		close(file);
	if (r == -EINVAL)
		fprintf(stderr, "dracctl: %s: not a regular file\n", path);
	else if (r == -EFBIG)
		fprintf(stderr, "dracctl: %s: the file has more than %d MiB\n", path,
			SIZE_MAX_OCTETS >> 20);
	else if (r == -EBUSY)
		fprintf(stderr,
			"dracctl: %s: another program keeps it locked; stop that, or import a copy\n",
			path);
	else if (r < 0)
		fprintf(stderr, "dracctl: %s: %s\n", path, strerror(-r));
	return r < 0 ? CTL_USAGE : 0;
}

/* ---- the answer ---- */

static void print_left(const char *path, const struct words *words)
{
	const char *reason = ctl_value(words, "reason", NULL);
	const char *hint = ctl_value(words, "hint", NULL);

	fprintf(stderr, "dracctl: %s: row %llu: \"%s\": %s%s%s\n", path,
		ctl_number(words, "row"), ctl_value(words, "key", ""),
		reason ? ctl_reason_text(reason) : ctl_value(words, "text", "?"),
		hint ? "; see " : "", hint ? hint : "");
}

static void print_refused(const struct words *words)
{
	static const char prefix[] = "refused_";
	const char *before = ": ";

	for (unsigned i = 1; i < words->count; i++) {
		const char *key = words->word[i].key;

		if (strncmp(key, prefix, strlen(prefix)) != 0 || !words->word[i].value)
			continue;
		key += strlen(prefix);
		printf("%s%s %s", before, words->word[i].value, key);
		before = ", ";
	}
}

/* "granted 41, renewed 2 of 57 rows; left out 9 expired, 1 not understood, 4 refused: 3
 * private, 1 max_leases" */
static void print_counts(const struct words *words)
{
	const unsigned long long expired = ctl_number(words, "expired");
	const unsigned long long refused = ctl_number(words, "refused");
	const unsigned long long malformed = ctl_number(words, "malformed");

	printf("granted %llu, renewed %llu of %llu rows", ctl_number(words, "granted"),
		ctl_number(words, "renewed"), ctl_number(words, "rows"));
	if (expired + refused + malformed > 0)
		printf("; left out %llu expired, %llu not understood, %llu refused",
			expired, malformed, refused);
	print_refused(words);
	putchar('\n');
}

/* Each row that is told, and what the final line says. */
static int take_answer(
	struct control *control, const char *path, unsigned *ret_told, struct words *ret)
{
	int r;

	while ((r = control_next(control, ret)) == CONTROL_DATA) {
		if (!words_is(ret, 0, "left"))
			continue;
		print_left(path, ret);
		++*ret_told;
	}
	return r;
}

static int say_failed(const char *path, const struct words *words)
{
	unsigned long long rows = ctl_number(words, "rows");
	const char *reason = ctl_value(words, "reason", "");

	if (strcmp(reason, "file") != 0 && rows == 0)
		return ctl_say_error(words);
	fprintf(stderr, "dracctl: %s: ", path);
	if (rows > 0)
		fprintf(stderr, "after row %llu: ", rows);
	fprintf(stderr, "%s\n", ctl_value(words, "text", "?"));
	if (rows > 0)
		print_counts(words);
	return CTL_REFUSED;
}

static int say_done(const char *path, const struct words *words, unsigned told)
{
	unsigned long long left =
		ctl_number(words, "refused") + ctl_number(words, "malformed");
	unsigned long long late = ctl_number(words, "maps_late");

	if (left > told)
		fprintf(stderr, "dracctl: %s: and %llu rows more\n", path, left - told);
	print_counts(words);
	if (late > 0)
		fprintf(stderr,
			"dracctl: %llu map%s not yet have them; see dracctl status\n",
			late, late == 1 ? " does" : "s do");
	return CTL_DONE;
}

int ctl_import_drac(struct ctl_context *context)
{
	const char *path = context->arguments->file;
	struct control *control = context->control;
	unsigned told = 0;
	struct words words;
	struct line line;
	int copy = -1, r, status = open_copy(path, &copy);

	if (status != 0)
		return status;
	line_init(&line, "import-drac");
	control->file = copy;
	r = control_ask(control, &line);
	close(copy);
	if (r < 0)
		return ctl_failed(r);
	r = take_answer(control, path, &told, &words);
	if (r == CONTROL_OK)
		return say_done(path, &words, told);
	return r == CONTROL_ERR ? say_failed(path, &words) : CTL_NO_ANSWER;
}
