/* A line of words, as both sockets take it, and the login in it. */
#include "dracd/login.h"
#include "tests/fuzz/fuzz.h"

/* What was read is written and read again: nothing is lost, and nothing is added. */
static void check_words(const struct words *words)
{
	const char *problem;
	struct words again;
	struct line line;
	int length;

	line_init(&line, words->word[0].key);
	for (unsigned i = 1; i < words->count; i++) {
		if (words->word[i].value)
			line_add(&line, words->word[i].key, words->word[i].value);
		else
			line_add_bare(&line, words->word[i].key);
	}
	length = line_finish(&line);
	FUZZ_ASSERT(length > 1 && length <= LINE_SIZE_MAX);
	FUZZ_ASSERT(words_parse(line.text, (size_t)length - 1, &again, &problem) == 0);
	FUZZ_ASSERT(again.count == words->count);
	for (unsigned i = 0; i < words->count; i++) {
		const char *value = words->word[i].value, *same = again.word[i].value;

		FUZZ_ASSERT(strcmp(words->word[i].key, again.word[i].key) == 0);
		FUZZ_ASSERT(value && same ? strcmp(value, same) == 0 : value == same);
	}
}

static void check_numbers(const struct words *words)
{
	unsigned long long number;
	struct line line;

	for (unsigned i = 1; i < words->count; i++) {
		if (words_get_number(words, words->word[i].key, &number) < 0)
			continue;
		FUZZ_ASSERT(number <= 9999999999999999999ULL);
		line_init(&line, "x");
		line_add_number(&line, "y", number);
		FUZZ_ASSERT(line_finish(&line) > 0);
	}
}

static void check_login(const struct login *login)
{
	FUZZ_ASSERT(login->address.length <= 128);
	FUZZ_ASSERT(strnlen(login->user, USER_SIZE) < USER_SIZE);
	FUZZ_ASSERT(strnlen(login->service, SERVICE_SIZE) < SERVICE_SIZE);
	FUZZ_ASSERT(!login->is_renewal || (*login->user && *login->service));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = fuzz_copy(data, size, 1);
	const char *problem = NULL;
	struct words words;
	struct login login;

	if (size >= LINE_SIZE_MAX || words_parse(line, size, &words, &problem) < 0) {
		FUZZ_ASSERT(size >= LINE_SIZE_MAX || problem);
	} else {
		check_words(&words);
		check_numbers(&words);
		if (login_parse(&words, "fuzz", size % 2, &login, &problem) == 0)
			check_login(&login);
		else
			FUZZ_ASSERT(problem);
	}
	free(line);
	return 0;
}
