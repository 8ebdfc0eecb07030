/* What Dovecot sends to the served helper. */
#include "client/postlogin_request.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = fuzz_copy(data, size, 0);
	struct postlogin_request request;

	if (postlogin_request_parse(text, size, &request) == 0) {
		FUZZ_ASSERT(request.answer >= text && request.answer_length <= size);
		FUZZ_ASSERT(request.answer + request.answer_length <= text + size);
	}
	free(text);
	return 0;
}
