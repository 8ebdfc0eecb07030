/* dracd.allow, as the gateway reads it. */
#include <arpa/inet.h>

#include "rpc/allow.h"
#include "tests/fuzz/fuzz.h"

struct told {
	unsigned count, last;
};

static void tell(unsigned line, const char *problem, void *context)
{
	struct told *told = context;

	FUZZ_ASSERT(problem && *problem && line >= told->last && line > 0);
	told->last = line;
	told->count++;
}

static unsigned count_lines(const uint8_t *data, size_t size)
{
	unsigned lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	return lines;
}

static void check(const struct allow *allow, const char *text)
{
	struct in6_addr caller;

	if (inet_pton(AF_INET6, text, &caller) != 1)
		abort();
	if (!allow_permits(allow, &caller))
		return;
	/* somebody must have said so */
	FUZZ_ASSERT(allow->count > 0 && IN6_IS_ADDR_V4MAPPED(&caller));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct told told = {0};
	struct allow allow = {0};
	char *copy;
	FILE *file;
	int r;

	(void)fuzz_take_failure(data, &size);
	copy = fuzz_copy(data, size, 0);
	file = size ? fmemopen(copy, size, "r") : NULL;
	if (file) {
		r = allow_read(file, &allow, tell, &told);
		FUZZ_ASSERT(told.last <= count_lines(data, size));
		FUZZ_ASSERT(r < 0 || allow.count <= size / 4 + 1);
		if (r == 0) {
			check(&allow, "::ffff:192.0.2.7");
			check(&allow, "::ffff:0.0.0.0");
			check(&allow, "2001:db8::7");
			for (size_t i = 0; i < allow.count; i++)
				FUZZ_ASSERT(
					(allow.rules[i].address & allow.rules[i].mask) ==
						allow.rules[i].address ||
					told.count > 0);
		}
		allow_done(&allow);
		fclose(file);
	}
	fuzz_fail_no_more();
	free(copy);
	return 0;
}
