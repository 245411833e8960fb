#ifndef APP_STAGES_H
#define APP_STAGES_H

#include <stdint.h>

static const struct {
    uint32_t offset, bytes;
} model_stage_output[] = {{0, 700}, {704, 500}, {0, 300}};

static inline const uint8_t *model_stage_codes(const uint8_t *arena, int stage)
{
    return arena + model_stage_output[stage].offset;
}

#endif
