/*
 * What one account and one connection may take of a server.
 *
 * An account holds at most three quarters of the connections, so that whatever one does,
 * a place is left for the others.  A connection has REQUEST_SECONDS for each request:
 * from its opening, or from the first octet of a later request, until that is whole. What
 * has asked and is now silent may stay for ever: MTAs keep connections for hours.
 *
 * All have the same time, so those that wait stand in the order in which they are due,
 * and one timer serves a whole server.
 */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#include "dracd/clock.h"
#include "dracd/log.h"
#include "dracd/server_internal.h"

#define REQUEST_USEC (REQUEST_SECONDS * USEC_PER_SEC)
/* At a limit that is said at most so often. */
#define SAY_USEC (60 * USEC_PER_SEC)
/* So many connections are a crowd, whose memory is worth a call. */
#define CROWD_MIN 64

/* ---- how many ---- */

static struct holder *find_holder(struct server *server, uid_t uid)
{
	for (size_t i = 0; i < server->holder_count; i++)
		if (server->holders[i].uid == uid)
			return &server->holders[i];
	return NULL;
}

static unsigned share_of_one(const struct server *server)
{
	return server->settings.connections_max - server->settings.connections_max / 4;
}

/* Whoever closes a connection and opens two must not fill the log. */
static bool is_time_to_say(const struct server *server, uint64_t *said_usec)
{
	uint64_t now;

	(void)sd_event_now(server->event, CLOCK_MONOTONIC, &now);
	if (*said_usec && now - *said_usec < SAY_USEC)
		return false;
	*said_usec = now;
	return true;
}

static bool is_full(struct server *server)
{
	bool full = server->count >= server->settings.connections_max;

	if (full && is_time_to_say(server, &server->full_said_usec))
		log_message(LOG_WARNING,
			"socket %s: %u connections, which is the limit; closing further ones",
			server->settings.path, server->count);
	return full;
}

static bool has_its_share(struct server *server, const struct holder *holder)
{
	bool full = holder->count >= share_of_one(server);

	if (full && is_time_to_say(server, &server->share_said_usec))
		log_message(LOG_WARNING,
			"socket %s: %u connections of uid %u, which is the limit of one "
			"account; closing further ones",
			server->settings.path, holder->count, holder->uid);
	return full;
}

bool server_has_room(struct server *server, uid_t uid)
{
	struct holder *holder = find_holder(server, uid);

	return !is_full(server) && !(holder && has_its_share(server, holder));
}

void server_say_files(struct server *server, uid_t uid)
{
	if (is_time_to_say(server, &server->files_said_usec))
		log_message(LOG_WARNING,
			"socket %s: uid %u hands over files that nobody asked for; closing such connections",
			server->settings.path, uid);
}

void server_say_denied(struct server *server, const struct peer *peer)
{
	if (is_time_to_say(server, &server->denied_said_usec))
		log_message(LOG_WARNING,
			"socket %s: uid %u (pid %d) is not among the reporters of drac.conf; "
			"refused (said once a minute)",
			server->settings.path, peer->uid, peer->pid);
}

int server_count_in(struct server *server, uid_t uid)
{
	struct holder *holder = find_holder(server, uid);
	struct holder *grown;

	if (!holder) {
		grown = reallocarray(
			server->holders, server->holder_count + 1, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		server->holders = grown;
		holder = &grown[server->holder_count++];
		*holder = (struct holder){.uid = uid};
	}
	holder->count++;
	server->count++;
	if (server->count > server->crowd)
		server->crowd = server->count;
	return 0;
}

void server_count_out(struct server *server, uid_t uid)
{
	struct holder *holder = find_holder(server, uid);

	server->count--;
	if (holder && --holder->count == 0)
		*holder = server->holders[--server->holder_count];
}

/* glibc gives back what lies free at the end of the heap, and one small piece there keeps
 * all that is below it: 80 MB after 5,000 half requests, on Debian 13.  So it is told to,
 * each time that a crowd has become half of what it was. */
void server_give_back(struct server *server)
{
	if (server->crowd < CROWD_MIN || server->count > server->crowd / 2)
		return;
	server->crowd = server->count;
	(void)malloc_trim(0);
}

/* ---- how long ---- */

static int on_overdue(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct server *server = userdata;

	while (server->expected && server->expected->due_usec <= usec)
		connection_overdue(server->expected);
	if (!server->expected)
		return 0;
	(void)sd_event_source_set_time(source, server->expected->due_usec);
	return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int server_add_timer(struct server *server)
{
	int r;

	server->expected_last = &server->expected;
	r = sd_event_add_time(server->event, &server->overdue, CLOCK_MONOTONIC,
		UINT64_MAX, 0, on_overdue, server);
	return r < 0 ? r : sd_event_source_set_enabled(server->overdue, SD_EVENT_OFF);
}

void connection_expect(struct connection *connection)
{
	struct server *server = connection->server;
	uint64_t now;

	(void)sd_event_now(server->event, CLOCK_MONOTONIC, &now);
	connection->due_usec = now + REQUEST_USEC;
	connection->expected_next = NULL;
	connection->expected_place = server->expected_last;
	*server->expected_last = connection;
	server->expected_last = &connection->expected_next;
	if (server->expected != connection)
		return; /* the timer stands at the first */
	(void)sd_event_source_set_time(server->overdue, connection->due_usec);
	(void)sd_event_source_set_enabled(server->overdue, SD_EVENT_ONESHOT);
}

void connection_expect_no_more(struct connection *connection)
{
	struct server *server = connection->server;
	struct connection *next = connection->expected_next;

	if (!connection->expected_place)
		return;
	*connection->expected_place = next;
	if (next)
		next->expected_place = connection->expected_place;
	else
		server->expected_last = connection->expected_place;
	connection->expected_place = NULL;
}
