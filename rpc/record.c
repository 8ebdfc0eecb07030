/* A state machine by octets of headers and stretches of fragments: nothing is awaited. */
#include "rpc/record.h"

#include <errno.h>
#include <string.h>

#define LAST_FRAGMENT UINT32_C(0x80000000)

enum {
	MARK_SIZE = 4
};

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int take_mark(struct record *record, unsigned char octet)
{
	record->mark = record->mark << 8 | octet;
	record->seen++;
	if (++record->mark_length < MARK_SIZE)
		return 0;
	record->left = record->mark & ~LAST_FRAGMENT;
	record->is_last = record->mark & LAST_FRAGMENT;
	return record->left > RECORD_SIZE_MAX - smaller(record->seen, RECORD_SIZE_MAX)
		       ? -EMSGSIZE
		       : 0;
}

static size_t take_fragment(
	struct record *record, const unsigned char *data, size_t length)
{
	size_t taken = smaller(length, record->left);
	size_t kept = smaller(taken, sizeof(record->data) - record->length);

	memcpy(record->data + record->length, data, kept);
	record->length += kept;
	record->left -= (uint32_t)taken;
	record->seen += taken;
	return taken;
}

int record_feed(struct record *record, const unsigned char *data, size_t length,
	size_t *ret_taken)
{
	size_t at = 0;

	while (at < length) {
		if (record->mark_length < MARK_SIZE) {
			if (take_mark(record, data[at++]) < 0)
				return -EMSGSIZE;
		} else {
			at += take_fragment(record, data + at, length - at);
		}
		if (record->mark_length < MARK_SIZE || record->left > 0)
			continue;
		if (record->is_last) {
			*ret_taken = at;
			return RECORD_WHOLE;
		}
		record->mark_length = 0;
		if (record->seen >= RECORD_SIZE_MAX)
			return -EMSGSIZE;
	}
	*ret_taken = at;
	return RECORD_MORE;
}

void record_reset(struct record *record)
{
	record->mark_length = 0;
	record->left = 0;
	record->is_last = false;
	record->seen = 0;
	record->length = 0;
}

void record_mark(size_t length, unsigned char ret[4])
{
	uint32_t mark = LAST_FRAGMENT | (uint32_t)length;

	for (unsigned i = 0; i < MARK_SIZE; i++)
		ret[i] = (unsigned char)(mark >> (24 - 8 * i));
}
