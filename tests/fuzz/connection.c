#include "tests/fuzz/connection.h"

#include <unistd.h>

struct server {
	void *context;
};

struct connection {
	struct server server;
	const struct talk *talk;
	void *state;
	struct peer peer;
	struct talked out;
	size_t stuck_at; /* the length of out from which on the peer did not read */
	unsigned holds;
	bool paused, finished;
	bool is_open;
};

/* ---- what protocols call ---- */

struct server *connection_server(const struct connection *connection)
{
	return (struct server *)(uintptr_t)&connection->server;
}

void *server_context(const struct server *server)
{
	return server->context;
}

void *connection_state(const struct connection *connection)
{
	return connection->state;
}

const struct peer *connection_peer(const struct connection *connection)
{
	return &connection->peer;
}

void server_say_denied(struct server *server, const struct peer *peer)
{
	(void)server;
	(void)peer;
}

bool connection_peer_in_group(const struct connection *connection, gid_t group)
{
	return connection->peer.gid == group;
}

bool connection_is_choked(const struct connection *connection)
{
	return connection->out.length > connection->stuck_at;
}

void connection_write(struct connection *connection, const void *data, size_t length)
{
	struct talked *out = &connection->out;

	FUZZ_ASSERT(connection->is_open && length > 0 && length <= WRITE_BUFFER_MAX);
	out->text = __real_realloc(out->text, out->length + length);
	FUZZ_ASSERT(out->text);
	memcpy(out->text + out->length, data, length);
	out->length += length;
	if (!connection->talk->gets_stuck || out->length % 4)
		connection->stuck_at = out->length;
}

/* A descriptor that stands for the connection; what is sent by it, where the server sends
 * itself, is the first half of it. */
static const struct connection *shared;

int connection_share(const struct connection *connection)
{
	if (!connection->talk->shares || connection_is_choked(connection))
		return -1;
	shared = connection;
	return dup(STDERR_FILENO);
}

ssize_t __wrap_send(int fd, const void *data, size_t length, int flags);

ssize_t __wrap_send(int fd, const void *data, size_t length, int flags)
{
	size_t sent = length > 40 ? length / 2 : length;

	(void)fd;
	(void)flags;
	connection_write((struct connection *)(uintptr_t)shared, data, sent);
	return (ssize_t)sent;
}

int connection_take_file(struct connection *connection)
{
	(void)connection;
	return -1;
}

void connection_finish(struct connection *connection)
{
	connection->finished = true;
}

void connection_hold(struct connection *connection)
{
	connection->holds++;
}

void connection_release(struct connection *connection)
{
	FUZZ_ASSERT(connection->holds > 0);
	connection->holds--;
}

void connection_pause(struct connection *connection)
{
	connection->paused = true;
}

void connection_resume(struct connection *connection)
{
	connection->paused = false;
}

/* ---- a talk ---- */

struct input {
	uint8_t *data;
	size_t length;
};

static bool may_consume(const struct connection *connection)
{
	return !connection->paused && !connection->finished &&
	       !connection_is_choked(connection);
}

/* One call, on memory that ends with the one octet of room that is promised.  What is not
 * taken stays as it is. */
static size_t consume_once(struct connection *connection, const struct input *input)
{
	const struct protocol *protocol = connection->talk->protocol;
	char *exact = fuzz_copy(input->data, input->length, 1);
	ssize_t taken = protocol->consume(connection, exact, input->length);

	FUZZ_ASSERT(taken <= (ssize_t)input->length);
	if (taken >= 0 && !connection->finished)
		FUZZ_ASSERT(memcmp(exact + taken, input->data + taken,
				    input->length - (size_t)taken) == 0);
	free(exact);
	if (taken < 0 || (taken == 0 && input->length >= protocol->request_max)) {
		connection_finish(connection);
		return input->length;
	}
	return (size_t)taken;
}

static void consume(struct connection *connection, struct input *input)
{
	while (input->length > 0 && may_consume(connection)) {
		size_t taken = consume_once(connection, input);

		if (taken == 0)
			break;
		input->data += taken;
		input->length -= taken;
	}
	if (connection->finished)
		input->length = 0;
}

/* The peer reads, and what was begun goes on, until it is his turn again. */
static bool settle(struct connection *connection)
{
	const struct talk *talk = connection->talk;
	bool has_done = false;

	if (connection->is_open && connection_is_choked(connection)) {
		connection->stuck_at = connection->out.length;
		if (talk->protocol->drained)
			talk->protocol->drained(connection);
		has_done = true;
	}
	return (talk->go_on && talk->go_on(talk->context)) || has_done;
}

static void open_connection(struct connection *connection, const struct talk *talk)
{
	*connection = (struct connection){
		.server = {talk->context},
		.talk = talk,
		.peer = {.uid = talk->uid, .gid = talk->uid, .pid = 1},
		.is_open = true,
		.out.text = __real_malloc(1), /* never NULL */
	};
	if (talk->protocol->opened &&
		talk->protocol->opened(connection, &connection->state) < 0)
		connection->finished = true;
}

static void read_all(struct connection *connection, struct input *input, size_t left)
{
	const struct talk *talk = connection->talk;

	for (;;) {
		size_t piece = left < talk->piece ? left : talk->piece;

		input->length += piece;
		left -= piece;
		consume(connection, input);
		if (!settle(connection) && (left == 0 || connection->finished))
			break;
	}
}

static void end_in_the_middle(struct connection *connection, const struct input *input)
{
	const struct protocol *protocol = connection->talk->protocol;

	if (connection->talk->is_late && protocol->overdue)
		protocol->overdue(connection);
	else if (protocol->ended)
		protocol->ended(connection, (const char *)input->data, input->length);
}

struct talked talk(const struct talk *talk, const uint8_t *data, size_t size)
{
	const struct protocol *protocol = talk->protocol;
	uint8_t *copy = (uint8_t *)fuzz_copy(data, size, 0);
	struct input input = {copy, 0};
	struct connection connection;
	bool is_finished;

	open_connection(&connection, talk);
	read_all(&connection, &input, size);
	is_finished = connection.finished;
	if (!is_finished && input.length > 0)
		end_in_the_middle(&connection, &input);
	if (talk->leaves)
		connection.is_open = false;
	if (talk->leaves && protocol->closed)
		protocol->closed(&connection);
	while (settle(&connection))
		;
	/* one that has left is not told of what it held */
	FUZZ_ASSERT(talk->leaves || (connection.holds == 0 && !connection.paused));
	connection.is_open = false;
	if (!talk->leaves && protocol->closed)
		protocol->closed(&connection);
	free(copy);
	connection.out.is_finished = is_finished;
	return connection.out;
}

struct talked talk_in_any_pieces(
	const struct talk *settings, const uint8_t *data, size_t size)
{
	struct talk whole = *settings;
	struct talked once, again;

	if (settings->leaves)
		return talk(settings, data, size);
	whole.piece = size + !size;
	once = talk(&whole, data, size);
	again = talk(settings, data, size);
	FUZZ_ASSERT(once.length == again.length && once.is_finished == again.is_finished);
	FUZZ_ASSERT(memcmp(once.text, again.text, once.length) == 0);
	free(again.text);
	return once;
}

void fuzz_check_lines(
	const struct talked *answers, bool (*is_right)(const struct words *words))
{
	const char *text = answers->text;
	size_t length = answers->length;

	while (length > 0) {
		const char *end = memchr(text, '\n', length), *problem;
		size_t line_length;
		struct words words;
		char *line;

		FUZZ_ASSERT(end && end - text < LINE_SIZE_MAX);
		line_length = (size_t)(end - text);
		line = fuzz_copy((const uint8_t *)text, line_length, 1);
		FUZZ_ASSERT(words_parse(line, line_length, &words, &problem) == 0);
		FUZZ_ASSERT(is_right(&words));
		free(line);
		text = end + 1;
		length -= line_length + 1;
	}
}
