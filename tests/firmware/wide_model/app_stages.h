#ifndef APP_STAGES_H
#define APP_STAGES_H

#include <stdint.h>

static const struct {
    uint32_t offset, bytes;
} model_stage_output[] = {{0, 700}, {704, 500}, {0, 300}};

#endif
