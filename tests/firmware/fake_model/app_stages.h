#ifndef APP_STAGES_H
#define APP_STAGES_H

#include <stdint.h>

static const struct {
    uint32_t offset, bytes;
} model_stage_output[] = {{64, 64}, {128, 144}, {0, 4}};

static inline const uint8_t *model_stage_codes(const uint8_t *arena, int stage)
{
    return arena + model_stage_output[stage].offset;
}

#endif
