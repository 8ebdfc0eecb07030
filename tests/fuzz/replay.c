/* Gives a fuzz target, built without libFuzzer, the files that are named: what of its
 * decoder a corpus reaches is counted by gcov. */
#include <stdio.h>

#include "tests/fuzz/fuzz.h"

enum {
	SIZE_MAX_OF_INPUT = 1 << 20
};

int main(int count, char **arguments)
{
	static uint8_t data[SIZE_MAX_OF_INPUT];

	for (int i = 1; i < count; i++) {
		FILE *file = fopen(arguments[i], "rb");
		size_t size;

		if (!file) {
			perror(arguments[i]);
			return 1;
		}
		size = fread(data, 1, sizeof(data), file);
		fclose(file);
		(void)LLVMFuzzerTestOneInput(data, size);
	}
	return 0;
}
