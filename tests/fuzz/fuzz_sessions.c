/* What doveadm lists: user names in it are of anybody's choice. */
#include "client/ctl_sessions.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool has_failed = fuzz_take_failure(data, &size);
	char *copy = fuzz_copy(data, size, 0);
	FILE *from = size ? fmemopen(copy, size, "r") : NULL;
	struct sessions sessions = {0};
	unsigned long long counted = 0;
	const char *problem = NULL;
	unsigned long line = 0;

	if (from) {
		int r = sessions_read(from, &sessions, &line, &problem);

		FUZZ_ASSERT(r <= 0 && line >= 1);
		fuzz_fail_no_more();
		FUZZ_ASSERT(r == 0 || problem || has_failed);
		for (size_t i = 0; i < sessions.count; i++) {
			const struct session_group *group = &sessions.groups[i];

			FUZZ_ASSERT(*group->user && *group->address && group->count);
			counted += group->count;
		}
		/* the last row may have been counted and then found to be malformed */
		FUZZ_ASSERT(counted + sessions.without <= sessions.all);
		FUZZ_ASSERT(r < 0 || counted + sessions.without == sessions.all);
		sessions_done(&sessions);
		fclose(from);
	}
	fuzz_fail_no_more();
	free(copy);
	return 0;
}
