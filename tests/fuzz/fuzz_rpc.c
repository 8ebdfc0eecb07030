/* What comes by the DRAC protocol: a record of a TCP connection in pieces, and the call
 * in it; or, where the first octet is odd, a datagram. */
#include "rpc/call.h"
#include "rpc/record.h"
#include "tests/fuzz/fuzz.h"

/* Behind the mark that we put before it, a reply is a record. */
static void check_framed(const struct reply *reply)
{
	unsigned char framed[4 + REPLY_SIZE_MAX];
	struct record record = {0};
	size_t taken = 0;

	record_mark(reply->length, framed);
	memcpy(framed + 4, reply->data, reply->length);
	FUZZ_ASSERT(
		record_feed(&record, framed, 4 + reply->length, &taken) == RECORD_WHOLE);
	FUZZ_ASSERT(taken == 4 + reply->length && record.length == reply->length);
}

static void decode(const uint8_t *data, size_t size)
{
	char *exact = fuzz_copy(data, size, 0);
	char text[INET6_ADDRSTRLEN];
	struct reply reply = {0};
	struct call call;

	switch (call_decode(exact, size, &call, &reply)) {
	case CALL_NONE:
		break;
	case CALL_ANSWERED:
		FUZZ_ASSERT(reply.length >= 20 && reply.length <= REPLY_SIZE_MAX);
		FUZZ_ASSERT(memcmp(reply.data, data, 4) == 0);
		check_framed(&reply);
		break;
	case CALL_ADD:
		FUZZ_ASSERT(call.version == 1 || call.version == 2);
		FUZZ_ASSERT(call_format_address(&call.address, text));
		call_answer(call.xid, CALL_STATUS_PERM, &reply);
		FUZZ_ASSERT(reply.length == 28);
		FUZZ_ASSERT(memcmp(reply.data, data, 4) == 0);
		check_framed(&reply);
		break;
	}
	free(exact);
}

/* Pieces as long as the first octet says. */
static void feed(const uint8_t *data, size_t size, size_t piece)
{
	struct record record = {0};
	size_t taken;

	while (size > 0) {
		size_t length = size < piece ? size : piece;
		char *exact = fuzz_copy(data, length, 0);
		int r = record_feed(&record, (unsigned char *)exact, length, &taken);

		free(exact);
		if (r < 0)
			return;
		FUZZ_ASSERT(taken > 0 && taken <= length);
		FUZZ_ASSERT(r == RECORD_WHOLE || taken == length);
		FUZZ_ASSERT(record.length <= CALL_SIZE_MAX);
		FUZZ_ASSERT(record.seen <= RECORD_SIZE_MAX);
		if (r == RECORD_WHOLE) {
			decode(record.data, record.length);
			record_reset(&record);
		}
		data += taken;
		size -= taken;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] % 2)
		decode(data + 1, size - 1);
	else
		feed(data + 1, size - 1, (size_t)data[0] / 2 + 1);
	return 0;
}
