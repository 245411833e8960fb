/* What is written down when an exception ends an image; edgecomp/device/faults.py reads it. */
#ifndef EDGECOMP_FAULT_H
#define EDGECOMP_FAULT_H

#include <stdint.h>

#include "attributes.h"

#define FAULT_MAGIC 0x46434345u /* "ECCF" */
#define FAULT_WORDS 18u

/* Survives a reset; means something only where it begins with FAULT_MAGIC. */
extern uint32_t fault_record[FAULT_WORDS];

/* Ends the image, after an exception of which `code` is the kind. */
APP_NORETURN void fault_end(uint32_t code);

#endif
