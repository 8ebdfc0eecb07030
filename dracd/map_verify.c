/*
 * Verifying: the worker, which alone writes the file, compares it with what one snapshot
 * of the table says, right after it has published that snapshot; so neither changes
 * meanwhile.  The publications that wait for it are why it has a time limit, and why a
 * revocation interrupts it.
 */
#include "dracd/map_verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "dracd/cleanup.h"
#include "dracd/map_fallback.h"
#include "dracd/map_file.h"
#include "dracd/map_reader.h"
#include "dracd/map_users.h"

#define TIME_USEC (15 * USEC_PER_SEC)

struct verification {
	struct map_worker *worker;
	struct expect *expect;
};

static bool has_style(const char *text, size_t length, bool with_nul)
{
	return strlen(text) + with_nul == length;
}

static void see_row(const struct map_child_row *row, void *context)
{
	const struct verification *this = context;
	const bool with_nul = this->worker->settings.map->nul == NUL_YES;
	char other[EXPECT_TEXT_SIZE];

	if (has_style(row->key, row->key_length, with_nul) &&
		has_style(row->value, row->value_length, with_nul)) {
		expect_see(this->expect, row->key, row->value);
		return;
	}
	/* the MTA does not find it under this key */
	snprintf(other, sizeof(other), "%.200s?", row->key);
	expect_see(this->expect, other, row->value);
}

/* Whoever is shut out, and an end that is asked for, do not wait. */
static bool is_wanted(void *context)
{
	const struct verification *this = context;
	struct map_worker *worker = this->worker;
	bool wanted;

	pthread_mutex_lock(&worker->lock);
	wanted = !worker->stopping &&
		 !(worker->why & (WAKE_REVOKED | WAKE_WITHDRAW | WAKE_LEAVE));
	pthread_mutex_unlock(&worker->lock);
	return wanted;
}

static void compare(struct verification *this, int file)
{
	struct map_verified *verified = &this->worker->now.verified;
	struct expect *expect = this->expect;
	const struct map_reader reader = {
		.type = this->worker->settings.map->type,
		.file = file,
		.time_usec = TIME_USEC,
		.visit = see_row,
		.is_wanted = is_wanted,
		.context = this,
	};

	switch (map_reader_run(&reader, verified->text)) {
	case MAP_READER_WHOLE:
		verified->result =
			expect_end(expect) ? MAP_VERIFIED_SAME : MAP_VERIFIED_DIFFERENT;
		verified->rows = expect->found;
		snprintf(verified->text, sizeof(verified->text),
			"%llu missing, %llu too many, %llu with another value%s%s",
			(unsigned long long)expect->missing,
			(unsigned long long)expect->extra,
			(unsigned long long)expect->wrong, expect->named > 0 ? ": " : "",
			expect->differences);
		break;
	case MAP_READER_FAILED:
		verified->result = MAP_VERIFIED_UNREADABLE;
		break;
	case MAP_READER_STOPPED:
		verified->result = MAP_VERIFIED_STOPPED;
		break;
	case MAP_READER_ABSENT:
		verified->result = MAP_VERIFIED_NOT;
		break;
	}
}

static int open_file(const struct map_worker *worker, int *ret)
{
	const struct map_config *map = worker->settings.map;

	*ret = open(map->file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

/* That says nothing of the file. */
static bool is_want(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

static void verify(struct map_worker *worker, struct expect *expect)
{
	struct verification this = {worker, expect};
	struct map_verified *verified = &worker->now.verified;
	int file, r;

	r = open_file(worker, &file);
	if (r < 0) {
		verified->result =
			is_want(r) ? MAP_VERIFIED_NOT : MAP_VERIFIED_UNREADABLE;
		snprintf(verified->text, sizeof(verified->text), "%s", strerror(-r));
		return;
	}
	compare(&this, file);
	close(file);
}

static void note_warning(struct map_worker *worker, const char *found)
{
	worker->now.found = found;
	worker->now.found_boot_usec = clock_now().boot_usec;
}

/* What killed the reader could kill us: nothing of ours opens that file again. */
static int forget_file(struct map_worker *worker)
{
	worker->map = map_close(worker->map);
	return map_file_open(worker->settings.map, &worker->map);
}

void map_verify_begin(struct map_worker *worker)
{
	struct map_verified *verified = &worker->now.verified;

	*verified = (struct map_verified){.count = verified->count + 1};
	snprintf(verified->text, sizeof(verified->text), "it could not be published");
}

int map_verify_run(struct map_worker *worker, struct config *config,
	struct blocks *blocks, bool rebuild)
{
	struct expect expect = {
		.any_value = map_shows_users(worker->settings.map) ||
			     map_file_has_deadline(worker->settings.map) ||
			     map_type_has_no_values(worker->settings.map->type)};
	struct map_verified *verified = &worker->now.verified;
	int r;

	worker->expect = &expect;
	r = map_publish(worker, config, blocks, rebuild);
	worker->expect = NULL;
	if (r == 0 && map_file_lacks_static(worker->settings.map, worker->access))
		snprintf(verified->text, sizeof(verified->text),
			"its static file has not been read");
	else if (r == 0)
		verify(worker, &expect);
	expect_done(&expect);
	if (verified->result == MAP_VERIFIED_DIFFERENT)
		note_warning(worker, "differed from the table");
	else if (verified->result == MAP_VERIFIED_UNREADABLE)
		note_warning(worker, "could not be read");
	else
		return r;
	map_fallback_distrust(worker);
	worker->needs_new_file = true; /* nobody but us has written it: it is damaged */
	if (verified->result == MAP_VERIFIED_UNREADABLE)
		r = forget_file(worker);
	return r < 0 ? r : map_publish(worker, config, blocks, true);
}
