/* cdb files, as Postfix' cdb: and Exim's cdb read them.  All calls of libcdb (tinycdb)
 * are here.  A cdb is made in one go and never changed: a delta copies the rows of the
 * published one that stay. */
#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "maps/delta.h"
#include "maps/format.h"

struct cdb_writer {
	int file;
	int published; /* borrowed; -1: a rebuild */
	struct delta delta;
};

/* libcdb says EPROTO of a file that is none. */
static int last_error(void)
{
	return errno == EPROTO ? -EBADMSG : errno ? -errno : -EIO;
}

static int cdb_format_open(
	const struct map_format *format, const struct map_work *work, void **ret_writer)
{
	struct cdb_writer *writer = calloc(1, sizeof(*writer));

	(void)format;
	if (!writer)
		return -ENOMEM;
	writer->published = work->is_delta ? work->published : -1;
	writer->file = open(work->path, O_RDWR | O_CLOEXEC);
	if (writer->file < 0) {
		free(writer);
		return -errno;
	}
	*ret_writer = writer;
	return 0;
}

static int cdb_format_put(void *pointer, struct map_bytes key, struct map_bytes value)
{
	struct cdb_writer *writer = pointer;

	return delta_add(&writer->delta, key, &value);
}

static int cdb_format_remove(void *pointer, struct map_bytes key)
{
	struct cdb_writer *writer = pointer;

	return delta_add(&writer->delta, key, NULL);
}

static int add_row(struct map_bytes key, struct map_bytes value, void *context)
{
	struct cdb_make *make = context;

	errno = 0;
	if (cdb_make_add(make, key.data, (unsigned)key.size, value.data,
		    (unsigned)value.size) < 0)
		return last_error();
	return 0;
}

static int scan_rows(struct cdb *cdb, map_row_visit *visit, void *context)
{
	unsigned position;
	int r;

	cdb_seqinit(&position, cdb);
	for (;;) {
		struct map_bytes key, value;

		errno = 0;
		r = cdb_seqnext(&position, cdb);
		if (r <= 0)
			return r < 0 ? last_error() : 0;
		key = (struct map_bytes){cdb_getkey(cdb), cdb_keylen(cdb)};
		value = (struct map_bytes){cdb_getdata(cdb), cdb_datalen(cdb)};
		if (!key.data || !value.data)
			return -EBADMSG;
		r = visit(key, value, context);
		if (r != 0)
			return r;
	}
}

static int scan_file(int file, map_row_visit *visit, void *context)
{
	struct cdb cdb;
	int r;

	errno = 0;
	if (cdb_init(&cdb, file) < 0)
		return last_error();
	r = scan_rows(&cdb, visit, context);
	cdb_free(&cdb);
	return r;
}

static int cdb_format_scan(const struct map_format *format, const char *path,
	map_row_visit *visit, void *context)
{
	int file = open(path, O_RDONLY | O_CLOEXEC), r;

	(void)format;
	if (file < 0)
		return -errno;
	r = scan_file(file, visit, context);
	close(file);
	return r;
}

static int write_file(struct cdb_writer *writer, struct map_counts *ret)
{
	struct cdb_make make;
	struct delta_merge merge = {
		.delta = &writer->delta, .emit = add_row, .context = &make};
	int r = 0;

	delta_sort(&writer->delta);
	errno = 0;
	if (cdb_make_start(&make, writer->file) < 0)
		return last_error();
	if (writer->published >= 0)
		r = scan_file(writer->published, delta_pass, &merge);
	if (r == 0)
		r = delta_rest(&merge);
	errno = 0;
	if (cdb_make_finish(&make) < 0 && r == 0) /* frees, whatever was before */
		r = last_error();
	if (r == 0)
		*ret = merge.counts;
	return r;
}

static void cdb_format_discard(void *pointer)
{
	struct cdb_writer *writer = pointer;

	close(writer->file);
	delta_done(&writer->delta);
	free(writer);
}

static int cdb_format_finish(void *pointer, struct map_counts *ret)
{
	int r = write_file(pointer, ret);

	cdb_format_discard(pointer);
	return r;
}

const struct map_format map_format_cdb = {
	.style = MAP_REWRITES,
	.open = cdb_format_open,
	.put = cdb_format_put,
	.remove = cdb_format_remove,
	.finish = cdb_format_finish,
	.discard = cdb_format_discard,
	.scan = cdb_format_scan,
};
