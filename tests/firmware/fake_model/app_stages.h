#ifndef APP_STAGES_H
#define APP_STAGES_H

#include <stdint.h>

static const struct {
    uint32_t offset, bytes;
} model_stage_output[] = {{64, 64}, {128, 144}, {0, 4}};

#endif
