/* What unused memory is painted with, so that one can see later how far it was used. */
#ifndef EDGECOMP_PAINT_H
#define EDGECOMP_PAINT_H

#include <stdint.h>

/* The paint of byte `i`: never the same for long, so that no tensor looks like it. */
static inline uint8_t paint(uint32_t i)
{
    return (uint8_t)((i * 2654435761u) >> 24);
}

#endif
