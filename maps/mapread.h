/* What drac-mapread prints; see mapread.c. */
#ifndef MAPS_MAPREAD_H
#define MAPS_MAPREAD_H

#include <stdint.h>

#define MAPREAD_PROGRAM "drac-mapread"
#define MAPREAD_END UINT32_MAX

enum {
	MAPREAD_SIZE_MAX = 65536, /* of a key, and of a value */
};

#endif
