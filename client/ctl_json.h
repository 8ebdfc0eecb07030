/* Lines of an answer as JSON objects: keys are those of dracd-protocol(7). */
#ifndef CLIENT_CTL_JSON_H
#define CLIENT_CTL_JSON_H

#include <jansson.h>

#include "client/words.h"

/* The words behind the verb as a new object; numbers become numbers, bare keys true.
 * NULL if there is no memory. */
json_t *ctl_json_object(const struct words *words);

/* Prints value and LF to standard output and drops the reference.  NULL (out of memory
 * where value was made) and a failure to write are said on standard error. */
int ctl_json_print(json_t *value) __attribute__((warn_unused_result));

/* Prints a list element by element, so that a long one takes no memory.  *count, 0 at
 * first, is how many have been printed. */
int ctl_json_list_element(json_t *value, unsigned long long *count)
	__attribute__((warn_unused_result));
void ctl_json_list_end(unsigned long long count);

#endif
