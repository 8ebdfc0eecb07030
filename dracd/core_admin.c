/* What an administrator asks for: revoke, unblock, flush. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dracd/core_internal.h"
#include "dracd/log.h"

static void log_revoked(const struct request *request, const char *what)
{
	const struct block *block = &request->block;
	struct event event;

	if (block->is_user) {
		event_init(&event, LOG_INFO, what);
		event_add(&event, "user", block->user);
	} else {
		event_init_address(&event, LOG_INFO, what, &block->address);
	}
	event_add_number(&event, "users", request->outcome.ended.users);
	event_add_number(&event, "leases", request->outcome.ended.leases);
	if (block->until_wall_usec)
		event_add_time(&event, "until", block->until_wall_usec);
	event_add(&event, "text", block->text);
	event_log(&event);
}

static void done_revoke(struct store_op *op)
{
	struct request *request = op->context;
	struct core *core = request->core;
	uint64_t sequence = op->state.sequence;

	core->revoking -= request->block.is_user;
	request->outcome.error = op->result < 0 ? op->result : 0;
	request->outcome.ended = op->ended;
	if (op->blocks) /* else what could not be saved before still is not */
		core->blocks_unsaved = op->saved < 0;
	store_op_free(op);
	if (request->outcome.error) {
		log_errno(LOG_ERR, request->outcome.error, "cannot store a revocation");
		core_check_table(core, request->outcome.error);
		/* what is in force is refused by the maps as well, though its rows stay
		 */
		if (request->outcome.in_force)
			publisher_wake(core->publisher, WAKE_REBUILD | WAKE_REVOKED);
		core_answer(request);
		return;
	}
	log_revoked(request, "revoked");
	publisher_wake(core->publisher, WAKE_CHANGES | WAKE_REVOKED);
	core_wait(request, sequence);
}

/* Puts the new set in force before anything else, so that a login that comes now is
 * refused, and lookups with it. */
static int start_revoke(struct core *core, struct request *request, uint64_t hold_usec)
{
	struct block *block = &request->block;
	struct moment now = request->outcome.time;
	struct blocks *blocks = NULL;
	struct store_op *op;
	int r;

	op = store_op_new(STORE_REVOKE, done_revoke, request);
	if (!op)
		return -ENOMEM;
	if (hold_usec > 0) {
		block->since_wall_usec = now.wall_usec;
		block->until_wall_usec = clock_add(now.wall_usec, hold_usec);
		block->until_boot_usec = clock_add(now.boot_usec, hold_usec);
		r = blocks_with(core->blocks, block, now, &blocks);
		if (r < 0) {
			store_op_free(op);
			return r;
		}
		core_set_blocks(core, blocks);
		request->outcome.in_force = true;
	}
	op->blocks = blocks;
	op->is_user = block->is_user;
	op->address = block->address;
	memcpy(op->login.user, block->user, sizeof(op->login.user));
	core->revoking += block->is_user;
	store_submit(core->store, op);
	return 0;
}

void core_revoke(struct core *core, const struct block *block, uint64_t hold_usec,
	uint64_t wait_usec, core_done *done, void *context)
{
	struct request *request = core_request_new(core, done, context);
	struct outcome failed = {.error = -ENOMEM};

	if (!request) {
		done(&failed, context);
		return;
	}
	request->block = *block;
	request->wait_usec = wait_usec;
	failed.error = start_revoke(core, request, hold_usec);
	if (failed.error < 0)
		core_answer_later(request, &failed);
}

static void done_save_again(struct store_op *op)
{
	struct core *core = op->context;

	core->blocks_unsaved = op->result < 0;
	if (op->result == 0)
		log_message(LOG_INFO, "the blocks are stored again");
	store_op_free(op);
}

void core_save_blocks_again(struct core *core)
{
	struct store_op *op;

	if (!core->blocks_unsaved)
		return;
	op = store_op_new(STORE_BLOCKS, done_save_again, core);
	if (!op)
		return;
	op->blocks = blocks_ref(core->blocks);
	store_submit(core->store, op);
}

static void done_unblock(struct store_op *op)
{
	struct request *request = op->context;

	request->outcome.error = op->result < 0 ? op->result : 0;
	store_op_free(op);
	if (request->outcome.error)
		log_errno(LOG_ERR, request->outcome.error,
			"cannot store that a block is gone");
	else
		log_revoked(request, "unblocked");
	core_answer(request);
}

int core_unblock(
	struct core *core, const struct block *block, core_done *done, void *context)
{
	struct request *request;
	struct blocks *blocks;
	struct store_op *op;
	int r;

	r = blocks_without(core->blocks, block, clock_now(), &blocks);
	if (r < 0)
		return r;
	request = core_request_new(core, done, context);
	op = store_op_new(STORE_BLOCKS, done_unblock, request);
	if (!request || !op) {
		blocks_unref(blocks);
		free(request);
		store_op_free(op);
		return -ENOMEM;
	}
	request->block = *block;
	op->blocks = blocks;
	core_set_blocks(core, blocks);
	store_submit(core->store, op);
	return 0;
}

static void done_flush(struct store_op *op)
{
	struct request *request = op->context;
	uint64_t sequence = op->state.sequence;

	request->outcome.error = op->result < 0 ? op->result : 0;
	request->outcome.ended = op->ended;
	store_op_free(op);
	if (request->outcome.error) {
		log_errno(LOG_ERR, request->outcome.error, "cannot flush the table");
		core_answer(request);
		return;
	}
	log_message(LOG_INFO, "flushed leases=%llu",
		(unsigned long long)request->outcome.ended.leases);
	publisher_wake(request->core->publisher, WAKE_CHANGES | WAKE_REVOKED);
	core_wait(request, sequence);
}

void core_flush(struct core *core, uint64_t wait_usec, core_done *done, void *context)
{
	struct request *request = core_request_new(core, done, context);
	struct store_op *op = store_op_new(STORE_FLUSH, done_flush, request);
	struct outcome failed = {.error = -ENOMEM};

	if (!request || !op) {
		free(request);
		store_op_free(op);
		done(&failed, context);
		return;
	}
	request->wait_usec = wait_usec;
	store_submit(core->store, op);
}
