/*
 * tracer PROGRAM ARGUMENT...                           counts system calls
 * tracer -i ROLE CALL NUMBER FAULT PROGRAM ARGUMENT... injects one fault
 *
 * Runs a program, all its threads and all their children, under ptrace(2), and sees each
 * system call from after the execve of the program to the end of the last process.  A
 * call is named by the role of who makes it, its name, and how many of that name the role
 * has made.  strace(1) counts per thread too, but cannot tell which thread to count in.
 *
 * A role is the way there from the program, so it is the same in each run: "0" is its
 * first thread, "0.t2" the second thread that its process starts, "0.p1" the first child
 * of that first thread.  Calls that fail in different ways by what they are told to do
 * have names of their own: "futex:wait", "openat:create", "write:pipe" (to a file it is
 * "write").
 *
 * FAULT is KILL: the process is killed on its way into the call; or the number of an
 * error, with which the call fails without being made; with a "+" behind it, it and all
 * of that name which the role makes later.  But close(2) is made even so, as Linux has
 * released a descriptor whatever close returns.
 *
 * To descriptor 3 go lines: "begin PID", "hit ROLE CALL NUMBER", "end ROLE exit|signal N"
 * for each process, and at last "call ROLE CALL COUNT" for all that was counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "how a call is made to fail is known for x86-64 only"
#endif

enum {
	TASKS_MAX = 256,
	ROLES_MAX = 256,
	CALLS_MAX = 192, /* names, of one role */
	NAME_SIZE = 40,
	ROLE_SIZE = 48,
	REPORT_FD = 3,
};

struct count {
	char name[NAME_SIZE];
	unsigned count;
};

/* Outlives its task. */
struct role {
	char name[ROLE_SIZE];
	struct count calls[CALLS_MAX];
	unsigned call_count;
	unsigned threads, children; /* that have been started */
};

struct task {
	pid_t id, process; /* id 0: free */
	struct role *role; /* NULL: it waits for the event that tells who has made it */
	struct role *home; /* of the first thread of its process */
	bool is_failing;   /* its call is to return -error */
};

struct fault {
	const char *role, *call;
	unsigned number;
	bool kills, lasts, is_done;
	long error;
};

static const char *const names[] = {
#include "calls.h"
};

static struct task tasks[TASKS_MAX];
static struct role roles[ROLES_MAX];
static unsigned role_count;
static struct fault fault;
static bool is_begun; /* the program runs */

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "tracer: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* ---- who ---- */

static struct role *add_role(const char *name)
{
	struct role *role = &roles[role_count++];

	if (role_count > ROLES_MAX)
		fail("too many roles");
	snprintf(role->name, sizeof(role->name), "%s", name);
	return role;
}

static struct task *find_task(pid_t id)
{
	struct task *unused = NULL;

	for (size_t i = 0; i < TASKS_MAX; i++) {
		if (tasks[i].id == id)
			return &tasks[i];
		if (tasks[i].id == 0 && !unused)
			unused = &tasks[i];
	}
	if (!unused)
		fail("too many tasks");
	*unused = (struct task){.id = id};
	return unused;
}

static void name_child(struct task *child, const struct task *parent, bool is_thread)
{
	struct role *counter = is_thread ? parent->home : parent->role;
	char name[2 * ROLE_SIZE];

	snprintf(name, sizeof(name), "%s.%c%u", counter->name, is_thread ? 't' : 'p',
		is_thread ? ++counter->threads : ++counter->children);
	child->role = add_role(name);
	child->home = is_thread ? parent->home : child->role;
	child->process = is_thread ? parent->process : child->id;
}

/* ---- what ---- */

static const char *kind_of_file(pid_t id, long descriptor)
{
	char path[64], target[64];
	struct stat status;
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/%d/fd/%ld", id, descriptor);
	if (stat(path, &status) < 0)
		return ":none";
	switch (status.st_mode & S_IFMT) {
	case S_IFIFO:
		return ":pipe";
	case S_IFSOCK:
		return ":socket";
	case 0:
		length = readlink(path, target, sizeof(target) - 1);
		target[length < 0 ? 0 : length] = '\0';
		return strstr(target, "inotify") ? ":inotify" : ":anon";
	default:
		return "";
	}
}

static const char *kind_of_lock(long command)
{
	switch (command) {
	case F_SETLKW:
	case F_OFD_SETLKW:
		return ":wait";
	case F_SETLK:
	case F_OFD_SETLK:
		return ":lock";
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return ":dup";
	default:
		return "";
	}
}

static const char *kind_of_futex(long operation)
{
	switch (operation & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return ":wait";
	default:
		return ":wake";
	}
}

static const char *kind_of_call(
	pid_t id, unsigned long long number, const unsigned long long *arguments)
{
	switch (number) {
	case SYS_read:
	case SYS_readv:
	case SYS_write:
	case SYS_writev:
		return kind_of_file(id, (long)arguments[0]);
	case SYS_openat:
		return arguments[2] & O_CREAT ? ":create" : "";
	case SYS_fcntl:
		return kind_of_lock((long)arguments[1]);
	case SYS_futex:
		return kind_of_futex((long)arguments[1]);
	default:
		return "";
	}
}

static unsigned count_call(struct role *role, const char *name)
{
	unsigned i;

	for (i = 0; i < role->call_count; i++)
		if (strcmp(role->calls[i].name, name) == 0)
			return ++role->calls[i].count;
	if (i == CALLS_MAX)
		fail("too many names of calls");
	snprintf(role->calls[i].name, NAME_SIZE, "%s", name);
	role->call_count++;
	return ++role->calls[i].count;
}

/* ---- faults ---- */

static bool is_wanted(const struct role *role, const char *name, unsigned count)
{
	return fault.role &&
	       (fault.lasts ? count >= fault.number : count == fault.number) &&
	       strcmp(fault.role, role->name) == 0 && strcmp(fault.call, name) == 0;
}

static void inject(struct task *task, unsigned long long number)
{
	if (!fault.is_done)
		dprintf(REPORT_FD, "hit %s %s %u\n", fault.role, fault.call,
			fault.number);
	fault.is_done = true;
	if (fault.kills) {
		(void)kill(task->process, SIGKILL);
		return;
	}
	task->is_failing = true;
	if (number != SYS_close)
		(void)ptrace(PTRACE_POKEUSER, task->id,
			offsetof(struct user_regs_struct, orig_rax), -1L);
}

static void on_call(struct task *task)
{
	struct __ptrace_syscall_info info;
	char name[NAME_SIZE];
	unsigned count;

	if (!is_begun || !task->role)
		return;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->id, sizeof(info), &info) < 0)
		return; /* killed meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_EXIT && task->is_failing) {
		task->is_failing = false;
		(void)ptrace(PTRACE_POKEUSER, task->id,
			offsetof(struct user_regs_struct, rax), -fault.error);
	}
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return;
	snprintf(name, sizeof(name), "%s%s",
		info.entry.nr < sizeof(names) / sizeof(*names) && names[info.entry.nr]
			? names[info.entry.nr]
			: "unknown",
		kind_of_call(task->id, info.entry.nr,
			(const unsigned long long *)info.entry.args));
	count = count_call(task->role, name);
	if (is_wanted(task->role, name, count))
		inject(task, info.entry.nr);
}

/* ---- events ---- */

static void go_on(const struct task *task, long signal)
{
	/* once the fault is in, nothing more needs to be seen */
	const bool watches =
		is_begun && (!fault.is_done || fault.lasts || task->is_failing);

	(void)ptrace(watches ? PTRACE_SYSCALL : PTRACE_CONT, task->id, NULL, signal);
}

static void on_birth(const struct task *parent, bool is_thread)
{
	unsigned long id;
	struct task *child;

	if (!parent->role || ptrace(PTRACE_GETEVENTMSG, parent->id, NULL, &id) < 0)
		return;
	child = find_task((pid_t)id);
	name_child(child, parent, is_thread);
	go_on(child, 0); /* if it has stopped already; else that fails */
}

static void on_end(struct task *task, int status)
{
	if (task->role && task->id == task->process)
		dprintf(REPORT_FD, "end %s %s %d\n", task->role->name,
			WIFEXITED(status) ? "exit" : "signal",
			WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	task->id = 0;
}

static void on_stop(struct task *task, int status)
{
	const int signal = WSTOPSIG(status);

	switch (status >> 16) {
	case PTRACE_EVENT_CLONE:
		on_birth(task, true);
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
		on_birth(task, false);
		break;
	case PTRACE_EVENT_EXEC:
		if (!is_begun) /* a sanitizer of ours may have had threads until then */
			roles[0].threads = roles[0].children = 0;
		is_begun = true;
		break;
	case PTRACE_EVENT_STOP:
		if (!task->role)
			return; /* on_birth() lets it go */
		break;
	case 0:
		if (signal == (SIGTRAP | 0x80)) {
			on_call(task);
			break;
		}
		go_on(task, signal);
		return;
	default:
		break;
	}
	go_on(task, 0);
}

static void watch(void)
{
	int status;
	pid_t id;

	while ((id = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
		if (id <= 0)
			continue;
		if (WIFSTOPPED(status))
			on_stop(find_task(id), status);
		else
			on_end(find_task(id), status);
	}
}

/* ---- life ---- */

/* Waits until it is traced; then it is stopped at each end of execve. */
static _Noreturn void run_program(const int gate[2], char **argv)
{
	char byte;

	close(gate[1]);
	close(REPORT_FD);
	if (read(gate[0], &byte, 1) != 0)
		_exit(125);
	close(gate[0]);
	execv(argv[0], argv);
	fail(argv[0]);
}

static void start(char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE |
			     PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	struct task *task;
	int gate[2];
	pid_t id;

	if (fcntl(REPORT_FD, F_SETFD, FD_CLOEXEC) < 0 || pipe2(gate, O_CLOEXEC) < 0)
		fail("descriptor 3");
	id = fork();
	if (id == 0)
		run_program(gate, argv);
	if (id < 0 || ptrace(PTRACE_SEIZE, id, NULL, options) < 0)
		fail("cannot trace");
	task = find_task(id);
	task->process = id;
	task->role = task->home = add_role("0");
	dprintf(REPORT_FD, "begin %d\n", id);
	close(gate[0]);
	close(gate[1]);
}

static void report(void)
{
	FILE *to = fdopen(REPORT_FD, "w");

	for (unsigned i = 0; to && i < role_count; i++)
		for (unsigned j = 0; j < roles[i].call_count; j++)
			fprintf(to, "call %s %s %u\n", roles[i].name,
				roles[i].calls[j].name, roles[i].calls[j].count);
	if (!to || fclose(to) != 0)
		fail("descriptor 3");
}

int main(int argc, char **argv)
{
	argv++;
	if (argc > 6 && strcmp(argv[0], "-i") == 0) {
		fault = (struct fault){
			.role = argv[1],
			.call = argv[2],
			.number = (unsigned)strtoul(argv[3], NULL, 10),
			.kills = strcmp(argv[4], "KILL") == 0,
			.lasts = strchr(argv[4], '+') != NULL,
			.error = strtol(argv[4], NULL, 10),
		};
		argv += 5;
	}
	if (!*argv) {
		fputs("usage: tracer [-i ROLE CALL NUMBER FAULT] PROGRAM ARGUMENT...\n",
			stderr);
		return 2;
	}
	start(argv);
	watch();
	report();
	return 0;
}
