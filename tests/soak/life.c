/*
 * The store is included, not linked: its batch is run here, on the one thread that there
 * is.  So is the check of the table, which would fork at each start: it does so at one of
 * eight, else it runs here.  The clock of dracd is replaced by the linker
 * (--wrap=clock_now).
 */
#include "tests/soak/life.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "dracd/core.h"
#include "dracd/state.h"
#include "dracd/store.c"
#include "dracd/table_internal.h"
#include "tests/soak/follow.h"
#include "tests/soak/numbers.h"

int check_in_child(const struct table_settings *settings, unsigned timeout_sec,
	struct table_state *ret);

#define table_check check_in_child
#include "dracd/table_check.c"
#undef table_check

enum {
	CHECKS_PER_CHILD = 8
};

struct moment life_now;
struct moment __wrap_clock_now(void);

struct moment __wrap_clock_now(void)
{
	return life_now;
}

static struct {
	struct config config;
	struct service_settings service;
	struct core core;
	struct store store;
	struct queue batch;
	int directory, lock;
	struct map_config map_config;
	bool has_failed_revoke; /* in this life */
} life;

/* ---- the check ---- */

/* Each check in a child of its own would take most of the time. */
int table_check(const struct table_settings *settings, unsigned timeout_sec,
	struct table_state *ret)
{
	static unsigned turn;
	int r;

	if (turn++ % CHECKS_PER_CHILD == 0)
		return check_in_child(settings, timeout_sec, ret);
	memset(ret, 0, sizeof(*ret));
	r = check_environment(settings, ret);
	return r == -ENOENT ? 0 : r;
}

/* ---- numbers as addresses and names ---- */

static struct address address_of(int number)
{
	int net = number < HOSTS ? number / 2 : number - HOSTS;
	struct address address = {.length = 128};
	bool ipv4 = net < HOSTS / 4;

	if (ipv4) /* 20.1.net.host */
		memcpy(address.ip.s6_addr, (uint8_t[16]){[10] = 0xff, 0xff, 20, 1}, 16);
	else /* 2a00:1:0:net::host */
		memcpy(address.ip.s6_addr, (uint8_t[16]){0x2a, 0, 0, 1}, 16);
	address.ip.s6_addr[ipv4 ? 14 : 7] = (uint8_t)(net + 1);
	address.ip.s6_addr[15] = (uint8_t)(number % 2 + 1);
	return number < HOSTS ? address : address_network(&address, ipv4 ? 120 : 64);
}

static void name_user(int user, char ret[USER_SIZE])
{
	if (user > 0)
		snprintf(ret, USER_SIZE, "user%d", user);
}

static struct block block_of(int subject)
{
	struct block block = {.text = "soak"};

	block.is_user = subject >= KEYS;
	if (block.is_user)
		name_user(subject - KEYS, block.user);
	else
		block.address = address_of(subject);
	return block;
}

/* ---- life ---- */

static int add_everything(struct prefix_set *set)
{
	struct address all = {0}, ipv4 = address_network(&(struct address){0}, 0);
	int r = prefix_set_add(set, &all);

	ipv4.ip.s6_addr[10] = ipv4.ip.s6_addr[11] = 0xff;
	ipv4.length = 96;
	return r < 0 ? r : prefix_set_add(set, &ipv4);
}

static int set_config(const struct life_settings *settings)
{
	struct prefix_set networks = life.config.lease_networks; /* of the last life */
	static char service[] = "imap";
	int r = networks.count > 0 ? 0 : add_everything(&networks);

	life.service = (struct service_settings){.name = service, .lease = true};
	life.config = (struct config){
		.references = 1,
		.durability = settings->durability,
		.lease_time_usec = 1800 * USEC_PER_SEC,
		.lease_time_max_usec = 86400 * USEC_PER_SEC,
		.ipv6_prefix = settings->wide ? 64 : 128,
		.max_leases = settings->max_leases,
		.max_leases_per_user = settings->max_per_user,
		.warn_users_per_address = 1000,
		.lease_networks = networks,
		.state_directory = (char *)(uintptr_t)settings->directory,
		.service_count = 1,
		.services = &life.service,
		.map_count = 1,
		.maps = &life.map_config,
	};
	return r;
}

int life_open(const struct life_settings *settings)
{
	struct core *core = &life.core;
	unsigned line;
	int r;

	memset(core, 0, sizeof(*core));
	life.directory = life.lock = -1;
	queue_init(&life.batch);
	follow_restart();
	life.has_failed_revoke = false;
	r = set_config(settings);
	core->config = &life.config;
	if (r == 0)
		r = state_open(settings->directory, &life.directory, &life.lock);
	if (r == 0)
		r = blocks_load(life.directory, BLOCKS_FILE, settings->boot_id, life_now,
			&core->blocks, &line);
	core->blocks_unsaved = r == BLOCKS_UNSAVED;
	if (r == BLOCKS_UNSAVED)
		r = 0;
	if (r == 0)
		r = state_open_table(life.directory, core->config, settings->boot_id,
			life_now, &core->table);
	if (r == 0)
		r = state_apply_blocks(core->table, core->blocks, life_now);
	if (r == 0)
		r = table_reader_open(core->table, &core->reader);
	if (r != 0)
		return r < 0 ? r : -EUCLEAN;
	core->state = *table_get_state(core->table);
	life.store = (struct store){
		.settings = {.table = core->table, .directory = life.directory}};
	memcpy(life.store.settings.boot_id, settings->boot_id, 16);
	return 0;
}

static void free_life(void)
{
	life.core.table = NULL;
	life.core.blocks = blocks_unref(life.core.blocks);
	close_fd(&life.directory);
	close_fd(&life.lock);
}

void life_close(bool has_failed)
{
	struct core *core = &life.core;
	int r = -ENOENT;

	core->reader = table_reader_close(core->reader);
	if (core->table)
		r = table_close(core->table);
	if (r == 0 && !has_failed)
		state_mark_clean(life.directory);
	free_life();
}

void life_drop(void)
{
	struct core *core = &life.core;

	core->reader = table_reader_close(core->reader);
	mdb_env_close(core->table->env);
	free(core->table);
	free_life();
}

/* ---- operations ---- */

static void take_result(struct store_op *op)
{
	struct op *asked = op->context;

	asked->result = op->result;
	if (op->kind == STORE_REVOKE && op->result > 0)
		abort(); /* a revocation is not refused */
	if (op->blocks)
		life.core.blocks_unsaved = op->saved < 0;
	/* WAKE_REBUILD: it is in force, though its leases are still there */
	if (op->kind == STORE_REVOKE && op->result < 0) {
		life.has_failed_revoke = true;
		follow_restart();
	}
	store_op_free(op);
}

static void use_blocks(struct blocks *blocks)
{
	blocks_unref(life.core.blocks);
	life.core.blocks = blocks_ref(blocks);
}

static void submit(struct op *op, enum store_kind kind, struct store_op **ret)
{
	*ret = store_op_new(kind, take_result, op);
	if (!*ret)
		abort();
	(*ret)->time = life_now;
	op->result = -EINTR; /* should this process die now */
	op->is_stored = true;
	queue_add(&life.batch, *ret);
}

/* As core_login(). */
static void submit_login(struct op *op)
{
	struct rules rules = core_rules(&life.core);
	struct login login = {
		.address = address_of(op->subject),
		.is_renewal = op->kind == OP_RENEW,
		.ttl_usec = (uint64_t)op->usec,
		.service = "imap",
		.reporter = "soak",
	};
	struct address key;
	struct store_op *store_op;
	uint64_t usec;

	name_user(op->user, login.user);
	op->result = (int)guard_judge(&rules, &login, false, life_now, &key, &usec);
	if (op->result != REASON_OK)
		return;
	submit(op, STORE_LOGIN, &store_op);
	store_op->login = login;
	store_op->address = key;
	store_op->usec = usec;
	store_op->max_per_user = life.config.max_leases_per_user;
}

/* As start_revoke() in core_admin.c. */
static void submit_revoke(struct op *op)
{
	struct block block = block_of(op->subject);
	struct store_op *store_op;
	struct blocks *blocks = NULL;

	if (op->usec > 0) {
		block.since_wall_usec = life_now.wall_usec;
		block.until_wall_usec = clock_add(life_now.wall_usec, (uint64_t)op->usec);
		block.until_boot_usec = clock_add(life_now.boot_usec, (uint64_t)op->usec);
		if (blocks_with(life.core.blocks, &block, life_now, &blocks) < 0)
			abort();
		use_blocks(blocks);
	}
	submit(op, STORE_REVOKE, &store_op);
	store_op->blocks = blocks;
	store_op->is_user = block.is_user;
	store_op->address = block.address;
	memcpy(store_op->login.user, block.user, sizeof(store_op->login.user));
}

/* As core_unblock(). */
static void submit_unblock(struct op *op)
{
	struct block block = block_of(op->subject);
	struct store_op *store_op;
	struct blocks *blocks;

	op->result = 1;
	if (blocks_without(life.core.blocks, &block, life_now, &blocks) < 0)
		return;
	use_blocks(blocks);
	submit(op, STORE_BLOCKS, &store_op);
	store_op->blocks = blocks;
}

/* As on_timer() and on_tidy() in core.c. */
static void submit_tidy(struct op *op)
{
	struct store_op *store_op;
	struct blocks *left;

	if (blocks_with(life.core.blocks, NULL, life_now, &left) < 0)
		abort();
	use_blocks(left);
	if (life.core.blocks_unsaved) {
		submit(op, STORE_BLOCKS, &store_op);
		store_op->blocks = blocks_ref(left);
	}
	blocks_unref(left);
	submit(op, STORE_TIDY, &store_op);
}

void life_submit(struct op *op)
{
	struct store_op *store_op;

	switch (op->kind) {
	case OP_LOGIN:
	case OP_RENEW:
		submit_login(op);
		return;
	case OP_REVOKE:
		submit_revoke(op);
		return;
	case OP_UNBLOCK:
		submit_unblock(op);
		return;
	case OP_FLUSH:
		submit(op, STORE_FLUSH, &store_op);
		return;
	case OP_TIDY:
		submit_tidy(op);
		return;
	}
}

void life_commit(void)
{
	struct store_op *next;

	if (!life.batch.first)
		return;
	run_batch(&life.store, &life.batch);
	for (struct store_op *op = life.batch.first; op; op = next) {
		next = op->next;
		op->done(op);
	}
	queue_init(&life.batch);
	life.core.state = *table_get_state(life.core.table);
}

void life_allow_delete(uint64_t boot_usec)
{
	store_allow_delete(&life.store, boot_usec);
}

int life_admits(int host)
{
	struct address address = address_of(host);
	struct lease lease;
	int r = core_find(&life.core, &address, life_now, &lease);

	return r < 0 ? r : r == REASON_OK;
}

int life_publish(void)
{
	/* where a revocation has failed, a lease it shut out may be in force again when
	 * the time of the block is over: a map that does not show it is on the safe side
	 */
	return follow_table(&life.core, life.has_failed_revoke);
}
