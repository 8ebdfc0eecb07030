/*
 * All that a reporter sends on the report socket, requests ahead of their answers, and
 * what he gets.  The first octet says in what pieces it comes, the second who he is, how
 * fast he reads, and whether answers are there at once.
 */
#include <unistd.h>

#include "dracd/report.h"
#include "tests/fuzz/connection.h"
#include "tests/fuzz/core.h"

/* Each is final; nothing else is sent. */
static bool is_answer(const struct words *words)
{
	return words_is(words, 0, "OK") || words_is(words, 0, "NO") ||
	       words_is(words, 0, "ERR");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct core core = {0};
	struct talk how = {
		.protocol = &report_protocol, .context = &core, .go_on = fuzz_core_go_on};
	struct talked answers;

	if (size < 2)
		return 0;
	how.piece = data[0] + 1U;
	how.uid = data[1] % 8 == 7;
	how.shares = data[1] & 16;
	answers = fuzz_core_talk(&how, data[1], data + 2, size - 2);
	fuzz_check_lines(&answers, is_answer);
	free(answers.text);
	return 0;
}
