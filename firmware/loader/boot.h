/* What happens between reset and the application. */
#ifndef EDGECOMP_LOADER_BOOT_H
#define EDGECOMP_LOADER_BOOT_H

#include <stdint.h>

/* Serves a host where there is a reason to; returns where the application begins that is to be
 * started. `is_called` says whether the application asked for the loader before the reset. */
uint32_t boot(uint32_t is_called);

#endif
