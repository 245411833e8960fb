#ifndef APP_MODEL_H
#define APP_MODEL_H

#include "fake.h"

#define MODEL_ARENA_BYTES FAKE_ARENA_BYTES
#define MODEL_ARENA_ALIGN FAKE_ARENA_ALIGN
#define MODEL_INPUTS 1
#define MODEL_OUTPUTS 1
#define MODEL_STAGES FAKE_STAGES
#define MODEL_BUILD_ID 0x1234abcdu

#define model_input fake_input
#define model_run fake_run
#define model_output fake_output
#define model_run_stage fake_run_stage
#define model_input_info fake_input_info
#define model_output_info fake_output_info

static const uint32_t model_input_bytes[] = {64};
static const uint32_t model_output_bytes[] = {4};

#endif
