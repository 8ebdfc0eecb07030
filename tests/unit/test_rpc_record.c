/* Record marking: fragments, pieces, and what is too long. */
#include "rpc/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h> /* needs those before it */

struct stream {
	size_t length;
	unsigned char data[3 * RECORD_SIZE_MAX];
};

static void add_fragment(struct stream *stream, bool is_last, size_t length, int octet)
{
	record_mark(length, stream->data + stream->length);
	if (!is_last)
		stream->data[stream->length] &= 0x7f;
	memset(stream->data + stream->length + 4, octet, length);
	stream->length += 4 + length;
}

/* Feeds all, so many octets at a time, until a record is whole or refused. */
static int feed(struct record *record, const struct stream *stream, size_t piece,
	size_t *ret_taken)
{
	size_t at = 0, taken;

	while (at < stream->length) {
		size_t length = stream->length - at < piece ? stream->length - at : piece;
		int r = record_feed(record, stream->data + at, length, &taken);

		if (r < 0)
			return r;
		at += taken;
		*ret_taken = at;
		if (r == RECORD_WHOLE)
			return r;
		assert_int_equal(taken, length);
	}
	return RECORD_MORE;
}

static void a_record_is_whole_however_it_comes(void **state)
{
	static struct stream stream;
	size_t taken;

	(void)state;
	stream.length = 0;
	add_fragment(&stream, false, 3, 'a');
	add_fragment(&stream, false, 0, 0);
	add_fragment(&stream, false, 1, 'b');
	add_fragment(&stream, true, 40, 'c');
	for (size_t piece = 1; piece <= stream.length; piece++) {
		struct record record = {0};

		assert_int_equal(feed(&record, &stream, piece, &taken), RECORD_WHOLE);
		assert_int_equal(taken, stream.length);
		assert_int_equal(record.length, 44);
		assert_memory_equal(record.data, "aaabccc", 7);
	}
}

static void a_record_ends_where_the_next_begins(void **state)
{
	static struct stream stream;
	struct record record = {0};
	size_t taken, first;

	(void)state;
	stream.length = 0;
	add_fragment(&stream, true, 44, 'a');
	first = stream.length;
	add_fragment(&stream, true, 104, 'b');
	assert_int_equal(
		record_feed(&record, stream.data, stream.length, &taken), RECORD_WHOLE);
	assert_int_equal(taken, first);
	assert_int_equal(record.length, 44);
	record_reset(&record);
	assert_int_equal(
		record_feed(&record, stream.data + first, stream.length - first, &taken),
		RECORD_WHOLE);
	assert_int_equal(taken, stream.length - first);
	assert_int_equal(record.length, 104);
	assert_int_equal(record.data[0], 'b');
}

static void a_record_may_be_empty(void **state)
{
	static struct stream stream;
	struct record record = {0};
	size_t taken;

	(void)state;
	stream.length = 0;
	add_fragment(&stream, true, 0, 0);
	assert_int_equal(feed(&record, &stream, 1, &taken), RECORD_WHOLE);
	assert_int_equal(record.length, 0);
}

static void of_a_long_record_the_beginning_is_kept(void **state)
{
	static struct stream stream;
	struct record record = {0};
	size_t taken;

	(void)state;
	stream.length = 0;
	add_fragment(&stream, false, CALL_SIZE_MAX - 1, 'a');
	add_fragment(&stream, true, 2000, 'b');
	assert_int_equal(feed(&record, &stream, 100, &taken), RECORD_WHOLE);
	assert_int_equal(record.length, CALL_SIZE_MAX);
	assert_int_equal(record.data[CALL_SIZE_MAX - 2], 'a');
	assert_int_equal(record.data[CALL_SIZE_MAX - 1], 'b');
}

static void a_fragment_that_is_too_long_is_refused_at_its_header(void **state)
{
	static const unsigned char first[] = {
		0x80, 0, RECORD_SIZE_MAX >> 8, (RECORD_SIZE_MAX & 0xff) - 3};
	static const unsigned char all[] = {0xff, 0xff, 0xff, 0xff};
	static const unsigned char fits[] = {
		0x80, 0, RECORD_SIZE_MAX >> 8, (RECORD_SIZE_MAX & 0xff) - 4};
	struct record record = {0};
	size_t taken;

	(void)state;
	assert_int_equal(record_feed(&record, first, 4, &taken), -EMSGSIZE);
	record_reset(&record);
	assert_int_equal(record_feed(&record, all, 4, &taken), -EMSGSIZE);
	record_reset(&record);
	assert_int_equal(record_feed(&record, fits, 4, &taken), RECORD_MORE);
}

static void fragments_that_are_too_long_together_are_refused(void **state)
{
	static struct stream stream;
	struct record record = {0};
	size_t taken;

	(void)state;
	stream.length = 0;
	for (unsigned i = 0; i < 3; i++)
		add_fragment(&stream, false, RECORD_SIZE_MAX / 3, 'a');
	assert_int_equal(feed(&record, &stream, 1000, &taken), -EMSGSIZE);
}

static void endless_empty_fragments_are_refused(void **state)
{
	static const unsigned char empty[4] = {0};
	struct record record = {0};
	size_t taken, seen = 0;
	int r;

	(void)state;
	do {
		r = record_feed(&record, empty, 4, &taken);
		seen += 4;
	} while (r == RECORD_MORE && seen < 2 * RECORD_SIZE_MAX);
	assert_int_equal(r, -EMSGSIZE);
	assert_in_range(seen, RECORD_SIZE_MAX - 4, RECORD_SIZE_MAX + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_whole_however_it_comes),
		cmocka_unit_test(a_record_ends_where_the_next_begins),
		cmocka_unit_test(a_record_may_be_empty),
		cmocka_unit_test(of_a_long_record_the_beginning_is_kept),
		cmocka_unit_test(a_fragment_that_is_too_long_is_refused_at_its_header),
		cmocka_unit_test(fragments_that_are_too_long_together_are_refused),
		cmocka_unit_test(endless_empty_fragments_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
