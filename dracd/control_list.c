/*
 * "list": all leases, those that end first first.
 *
 * A table may hold a million of them, so the answer is written in turns: some rows in one
 * snapshot, then other work of the loop, and none while the peer does not read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/control_internal.h"
#include "dracd/log.h"

enum {
	ROWS_PER_TURN = 256
};

struct turn {
	struct session *session;
	struct moment now;
	unsigned rows;
};

/* True if one of the users kept for the lease is the wanted one; *ret_user is the latest.
 */
static bool has_user(struct core *core, const struct lease *lease, const char *wanted,
	char ret_user[USER_SIZE])
{
	bool found = !*wanted;

	ret_user[0] = '\0';
	for (unsigned i = 0; i < lease->share_count; i++) {
		struct share share;

		if (table_read_share(
			    core->reader, &lease->address, lease->shares[i], &share) != 0)
			continue;
		if (strcmp(share.user, wanted) == 0)
			found = true;
		memcpy(ret_user, share.user, USER_SIZE);
	}
	return found;
}

static void send_lease(struct session *session, const struct lease *lease,
	const char *user, struct moment now)
{
	char address[ADDRESS_TEXT_SIZE];
	struct line line;

	line_init(&line, "lease");
	line_add(&line, "address", address_format(&lease->address, address));
	line_add_number(&line, "left_ms",
		(lease->deadline_boot_usec - now.boot_usec) / USEC_PER_MSEC);
	line_add_number(&line, "until_ms", lease->deadline_wall_usec / USEC_PER_MSEC);
	line_add_number(&line, "users", lease_user_count(lease));
	line_add(&line, "user", user);
	line_add(&line, "service", lease->service);
	line_add_number(&line, "logins", lease->logins);
	line_add_number(&line, "granted_ms", lease->granted_wall_usec / USEC_PER_MSEC);
	control_send(session, &line);
}

static int visit_row(const struct expiry *row, void *context)
{
	struct turn *turn = context;
	struct session *session = turn->session;
	struct listing *listing = &session->listing;
	char user[USER_SIZE];
	struct lease lease;

	if (row->deadline_boot_usec > listing->until || turn->rows == ROWS_PER_TURN ||
		connection_is_choked(session->connection))
		return TABLE_NOT_FOUND; /* nonzero: the walk ends */
	listing->last = *row;
	turn->rows++;
	if (row->deadline_boot_usec <= turn->now.boot_usec)
		return 0;
	if (table_read_lease(session->daemon->core.reader, &row->key, &lease) != 0)
		return 0;
	if (*listing->service &&
		!services_has(&lease.services, listing->service, turn->now))
		return 0;
	if (!has_user(&session->daemon->core, &lease, listing->user, user))
		return 0;
	send_lease(session, &lease, user, turn->now);
	listing->count++;
	return 0;
}

static void end_listing(struct session *session)
{
	session->listing.next_turn =
		sd_event_source_disable_unref(session->listing.next_turn);
	session->listing.is_active = false;
}

void control_list_cancel(struct session *session)
{
	end_listing(session);
	session->is_busy = false;
}

/* Tells the next rows.  Goes on when the peer has read them, or at the loop's next turn.
 */
static void tell_rows(struct session *session)
{
	struct core *core = &session->daemon->core;
	struct turn turn = {.session = session, .now = clock_now()};
	struct line line;
	int r;

	r = table_reader_begin(core->reader);
	if (r == 0) {
		r = table_each_expiry(
			core->reader, &session->listing.last, visit_row, &turn);
		table_reader_end(core->reader);
	}
	if (r < 0) {
		end_listing(session);
		control_fail(session, "temporary", "the table cannot be read");
		return;
	}
	if (connection_is_choked(session->connection))
		return;
	if (r == TABLE_NOT_FOUND && turn.rows == ROWS_PER_TURN) {
		control_turn_again(session->listing.next_turn);
		return;
	}
	end_listing(session);
	line_init(&line, "OK");
	line_add_number(&line, "count", session->listing.count);
	control_finish(session, &line);
}

static int on_next_turn(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	tell_rows(userdata);
	return 0;
}

void control_list_continue(struct session *session)
{
	control_turn_again(session->listing.next_turn);
}

void control_list(struct session *session, const struct words *words)
{
	struct listing *listing = &session->listing;
	const char *user = words_get(words, "user");
	const char *service = words_get(words, "service");
	unsigned long long expiring = UINT64_MAX / USEC_PER_MSEC;
	struct moment now = clock_now();

	*listing = (struct listing){0};
	if (words_get_number(words, "expiring_ms", &expiring) == -EINVAL ||
		(user && strlen(user) >= USER_SIZE) ||
		(service && strlen(service) >= SERVICE_SIZE)) {
		control_fail(session, "syntax",
			"expiring_ms= is no number, or user= or service= is too long");
		return;
	}
	if (control_add_turn(session, on_next_turn, &listing->next_turn) < 0) {
		control_fail(session, "temporary", "out of memory");
		return;
	}
	if (user)
		memcpy(listing->user, user, strlen(user) + 1);
	if (service)
		memcpy(listing->service, service, strlen(service) + 1);
	listing->is_active = true;
	/* those that end now are over */
	listing->last.deadline_boot_usec = now.boot_usec + 1;
	listing->until = expiring > UINT64_MAX / USEC_PER_MSEC
				 ? UINT64_MAX
				 : clock_add(now.boot_usec, expiring * USEC_PER_MSEC);
	control_list_continue(session);
}
