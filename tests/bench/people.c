/* The addresses of the people FIRST to FIRST+COUNT-1 (person.h) as a table for
 * postmap(1), in their order, which is as good as shuffled:
 *
 *   people FIRST COUNT
 */
#include <stdlib.h>

#include "tests/bench/person.h"

int main(int argc, char *argv[])
{
	uint32_t first = argc == 3 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
	uint32_t count = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	char text[PERSON_TEXT_SIZE];

	while (count-- > 0) {
		person_address(first++, text);
		printf("%s OK\n", text);
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
