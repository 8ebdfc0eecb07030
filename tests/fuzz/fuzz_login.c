/* A line of the report socket: words, then a login. */
#include "dracd/login.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = fuzz_copy(data, size, 1);
	struct login login;
	const char *problem;
	struct words words;

	if (size < LINE_SIZE_MAX && words_parse(line, size, &words, &problem) == 0 &&
		login_parse(&words, "fuzz", size % 2, &login, &problem) == 0)
		FUZZ_ASSERT(
			login.address.length <= 128 && strlen(login.user) < USER_SIZE);
	free(line);
	return 0;
}
