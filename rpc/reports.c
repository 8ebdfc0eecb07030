/*
 * Logins wait in a queue, then in the ring of those that are on their way, whose order is
 * that of the answers.  One whose time is over leaves an empty place in the ring: its
 * answer may still come.
 */
#include "rpc/reports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/report.h"
#include "rpc/call.h"
#include "rpc/log.h"

enum {
	FLIGHT_MAX = 64, /* what dracd takes before it answers */
	QUEUE_MAX = 4096,
	REQUEST_MAX = 128, /* "login address=... ttl_ms=..." */
};

/* For how long a dracd that hangs is not asked again. */
#define HUNG_USEC REPORTS_BUDGET_USEC

struct reports {
	sd_event *event;
	char *path;
	int fd; /* -1: not connected */
	sd_event_source *io, *timer;
	bool timer_is_set;
	uint64_t hung_usec; /* since when nothing has been answered in time; 0: it has */
	bool is_down;       /* and that was said */
	struct report *flight[FLIGHT_MAX];
	unsigned first, count;
	struct report *queue, **queue_end;
	unsigned queued;
	size_t out_length;
	char out[FLIGHT_MAX * REQUEST_MAX];
	struct line answer;
};

static uint64_t now_of(const struct reports *reports)
{
	uint64_t now_usec = 0;

	(void)sd_event_now(reports->event, CLOCK_BOOTTIME, &now_usec);
	return now_usec;
}

/* ---- the queue and the ring ---- */

static void append(struct reports *reports, struct report *report)
{
	report->next = NULL;
	*reports->queue_end = report;
	reports->queue_end = &report->next;
	reports->queued++;
}

static struct report *take_queued(struct reports *reports)
{
	struct report *report = reports->queue;

	reports->queue = report->next;
	if (!reports->queue)
		reports->queue_end = &reports->queue;
	reports->queued--;
	return report;
}

static struct report **place_at(struct reports *reports, unsigned index)
{
	return &reports->flight[(reports->first + index) % FLIGHT_MAX];
}

static struct report *take_flight(struct reports *reports)
{
	struct report *report = *place_at(reports, 0);

	reports->first = (reports->first + 1) % FLIGHT_MAX;
	reports->count--;
	return report;
}

static void fail(struct report *report)
{
	if (report)
		report->done(report, REPORTS_FAILED, 0);
}

static void fail_queue(struct reports *reports)
{
	while (reports->queue)
		fail(take_queued(reports));
}

/* ---- the connection ---- */

static void say_down(struct reports *reports, int error)
{
	if (!reports->is_down)
		log_errno(LOG_ERR, error,
			"%s: no login can be reported, callers are told of a system error",
			reports->path);
	reports->is_down = true;
}

static void close_connection(struct reports *reports)
{
	reports->io = sd_event_source_unref(reports->io);
	if (reports->fd >= 0)
		close(reports->fd);
	reports->fd = -1;
	reports->out_length = 0;
	line_init(&reports->answer, "");
}

/* What was on its way goes to the head of the queue, unless it was there before. */
static void requeue_flight(struct reports *reports)
{
	struct report *queue = reports->queue, **queue_end = reports->queue_end;
	unsigned queued = reports->queued;

	reports->queue = NULL;
	reports->queue_end = &reports->queue;
	reports->queued = 0;
	while (reports->count > 0) {
		struct report *report = take_flight(reports);

		if (report && !report->is_retried) {
			report->is_retried = true;
			append(reports, report);
		} else {
			fail(report);
		}
	}
	if (queue) {
		*reports->queue_end = queue;
		reports->queue_end = queue_end;
		reports->queued += queued;
	}
}

static void lose_connection(struct reports *reports)
{
	close_connection(reports);
	requeue_flight(reports);
	reports_flush(reports);
}

static void update_events(struct reports *reports)
{
	(void)sd_event_source_set_io_events(
		reports->io, reports->out_length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Sends what it can.  False if the connection is lost. */
static bool send_out(struct reports *reports)
{
	ssize_t sent;

	if (reports->out_length == 0)
		return true;
	sent = send(reports->fd, reports->out, reports->out_length, MSG_NOSIGNAL);
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (sent > 0) {
		reports->out_length -= (size_t)sent;
		memmove(reports->out, reports->out + sent, reports->out_length);
	}
	update_events(reports);
	return true;
}

/* ---- answers ---- */

static enum reports_outcome outcome_of(int outcome, const struct words *words)
{
	const char *reason;

	if (outcome == REPORT_GRANTED)
		return REPORTS_GRANTED;
	if (outcome != REPORT_REFUSED)
		return REPORTS_FAILED;
	reason = words_get(words, "reason");
	/* max_leases, max_leases_per_user, max_leases_per_reporter, max_rate */
	return reason && strncmp(reason, "max_", 4) == 0 ? REPORTS_LIMIT
							 : REPORTS_REFUSED;
}

/* Says once that dracd does not take logins, and once that it does. */
static void note_health(struct reports *reports, int outcome, const struct words *words)
{
	const char *text = words_get(words, "text");
	bool is_down = outcome == REPORT_REJECTED;

	if (is_down && !reports->is_down)
		log_message(LOG_ERR, "%s: dracd does not take a login: %s", reports->path,
			text ? text : "");
	else if (!is_down && reports->is_down)
		log_message(LOG_INFO, "%s: dracd answers again", reports->path);
	reports->is_down = is_down;
}

/* Returns -EBADMSG for what is no answer to anything that was asked. */
static int take_answer(struct reports *reports, char *line, size_t length)
{
	unsigned long long left_ms = 0;
	struct report *report;
	struct words words;
	int r = report_parse_answer(line, length, &words);

	if (r < 0 || reports->count == 0)
		return -EBADMSG;
	note_health(reports, r, &words);
	reports->hung_usec = 0;
	if (words_get_number(&words, "left_ms", &left_ms) < 0)
		left_ms = 0;
	report = take_flight(reports);
	if (report)
		report->done(report, outcome_of(r, &words), left_ms * 1000);
	return 0;
}

/* Takes the whole lines.  0 or -EBADMSG. */
static int take_answers(struct reports *reports)
{
	struct line *answer = &reports->answer;
	char *at = answer->text, *end;
	size_t left = answer->length;
	int r = 0;

	while (r == 0 && (end = memchr(at, '\n', left))) {
		size_t length = (size_t)(end - at);

		r = take_answer(reports, at, length);
		at += length + 1;
		left -= length + 1;
	}
	memmove(answer->text, at, left);
	answer->length = left;
	return left < LINE_SIZE_MAX ? r : -EBADMSG;
}

static int on_event(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
	struct reports *reports = userdata;
	struct line *answer = &reports->answer;
	ssize_t n;

	(void)source;
	(void)events;
	n = recv(fd, answer->text + answer->length, LINE_SIZE_MAX - answer->length,
		MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		if (!send_out(reports))
			lose_connection(reports);
		return 0;
	}
	if (n > 0) {
		answer->length += (size_t)n;
		if (take_answers(reports) == 0) {
			reports_flush(reports);
			return 0;
		}
		log_message(LOG_ERR, "%s: an answer that is none", reports->path);
	}
	lose_connection(reports);
	return 0;
}

/* ---- time ---- */

static uint64_t next_deadline(struct reports *reports)
{
	for (unsigned i = 0; i < reports->count; i++)
		if (*place_at(reports, i))
			return (*place_at(reports, i))->deadline_usec;
	return reports->queue ? reports->queue->deadline_usec : 0;
}

/* The timer is left as it is while it comes early enough: setting it anew for each login
 * would be a system call each. */
static void set_timer(struct reports *reports)
{
	uint64_t deadline_usec = next_deadline(reports);

	if (reports->timer_is_set || deadline_usec == 0)
		return;
	(void)sd_event_source_set_time(reports->timer, deadline_usec);
	(void)sd_event_source_set_enabled(reports->timer, SD_EVENT_ONESHOT);
	reports->timer_is_set = true;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct reports *reports = userdata;
	uint64_t now_usec = now_of(reports);
	bool is_hung = false;

	(void)source;
	(void)usec;
	reports->timer_is_set = false;
	for (unsigned i = 0; i < reports->count; i++) {
		struct report **place = place_at(reports, i), *report = *place;

		if (!report || report->deadline_usec > now_usec)
			continue;
		*place = NULL;
		is_hung = true;
		fail(report);
	}
	while (reports->queue && reports->queue->deadline_usec <= now_usec) {
		is_hung = true;
		fail(take_queued(reports));
	}
	if (is_hung && !reports->hung_usec) {
		reports->hung_usec = now_usec;
		say_down(reports, -ETIMEDOUT);
	}
	set_timer(reports);
	return 0;
}

/* ---- sending ---- */

static int connect_now(struct reports *reports)
{
	int fd = report_connect(reports->path), r;

	if (fd < 0)
		return fd;
	r = sd_event_add_io(reports->event, &reports->io, fd, EPOLLIN, on_event, reports);
	if (r < 0) {
		close(fd);
		return r;
	}
	reports->fd = fd;
	return 0;
}

/* Returns false if the login cannot be written, which is a fault of ours. */
static bool write_request(struct reports *reports, const struct report *report)
{
	char address[INET6_ADDRSTRLEN];
	const struct report_login login = {
		.address = call_format_address(&report->address, address),
		.ttl_ms = (unsigned long)(report->lease_time_usec / 1000),
	};
	struct line line;
	int length = report_format(&login, &line);

	if (length < 0 || reports->out_length + (size_t)length > sizeof(reports->out))
		return false;
	memcpy(reports->out + reports->out_length, line.text, (size_t)length);
	reports->out_length += (size_t)length;
	return true;
}

int reports_add(struct reports *reports, struct report *report)
{
	uint64_t now_usec = now_of(reports);

	if (reports->queued >= QUEUE_MAX)
		return -ENOBUFS;
	if (reports->hung_usec) {
		if (now_usec - reports->hung_usec < HUNG_USEC)
			return -ETIMEDOUT;
		/* this one shall find out, on a connection of its own */
		reports->hung_usec = 0;
		close_connection(reports);
		requeue_flight(reports);
	}
	report->deadline_usec = now_usec + REPORTS_BUDGET_USEC;
	report->is_retried = false;
	append(reports, report);
	return 0;
}

void reports_flush(struct reports *reports)
{
	int r;

	if (!reports->queue)
		return;
	if (reports->fd < 0) {
		r = connect_now(reports);
		if (r < 0) {
			say_down(reports, r);
			fail_queue(reports);
			return;
		}
	}
	while (reports->queue && reports->count < FLIGHT_MAX) {
		struct report *report = take_queued(reports);

		if (!write_request(reports, report)) {
			fail(report);
			continue;
		}
		reports->count++;
		*place_at(reports, reports->count - 1) = report;
	}
	set_timer(reports);
	/* what was sent to a connection that is lost is noticed by its event */
	if (!send_out(reports))
		update_events(reports);
}

bool reports_is_idle(const struct reports *reports)
{
	for (unsigned i = 0; i < reports->count; i++)
		if (reports->flight[(reports->first + i) % FLIGHT_MAX])
			return false;
	return !reports->queue;
}

/* ---- life ---- */

int reports_new(sd_event *event, const char *path, struct reports **ret)
{
	struct reports *reports = calloc(1, sizeof(*reports));
	int r;

	if (!reports)
		return -ENOMEM;
	reports->event = event;
	reports->fd = -1;
	reports->queue_end = &reports->queue;
	line_init(&reports->answer, "");
	reports->path = strdup(path);
	r = reports->path ? sd_event_add_time(event, &reports->timer, CLOCK_BOOTTIME,
				    UINT64_MAX, 1, on_timer, reports)
			  : -ENOMEM;
	if (r >= 0)
		r = sd_event_source_set_enabled(reports->timer, SD_EVENT_OFF);
	if (r < 0) {
		reports_free(reports);
		return r;
	}
	*ret = reports;
	return 0;
}

struct reports *reports_free(struct reports *reports)
{
	if (!reports)
		return NULL;
	close_connection(reports);
	while (reports->count > 0)
		fail(take_flight(reports));
	fail_queue(reports);
	sd_event_source_unref(reports->timer);
	free(reports->path);
	free(reports);
	return NULL;
}
