/* Opens and closes models. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builder.h"

wavenet_status wavenet_open_memory(const void *content, size_t size, const char *target,
                                   wavenet_model **opened) {
  if (!content || !opened) return WAVENET_BAD_ARGUMENT;
  *opened = NULL;
  const Kernels *kernels = find_kernels(target);
  if (!kernels) return WAVENET_NO_TARGET;
  File file;
  wavenet_model *model = calloc(1, sizeof *model);
  Builder builder = {&file, model, NULL, 0, model ? WAVENET_OK : WAVENET_NO_MEMORY};
  if (!open_file(content, size, &file)) fail(&builder, WAVENET_NO_MODEL);
  if (builder.status == WAVENET_OK) {
    model->kernels = kernels;
    model->checksum = file.checksum;
    model->info.target = kernels->name;
    read_model(&builder);
  }
  if (builder.status == WAVENET_OK) {
    model->memory = calloc(builder.used + 2 * ALIGNMENT, 1);
    if (!model->memory) fail(&builder, WAVENET_NO_MEMORY);
  }
  if (builder.status == WAVENET_OK) {
    builder.memory = (unsigned char *)model->memory + ALIGNMENT -
                     (uintptr_t)model->memory % ALIGNMENT;
    builder.used = 0;
    read_model(&builder);
    lay_out_state(&builder);
  }
  close_file(&file);
  if (builder.status != WAVENET_OK) {
    wavenet_close(model);
    return builder.status;
  }
  *opened = model;
  return WAVENET_OK;
}

wavenet_status wavenet_open(const char *path, wavenet_model **model) {
  if (!path || !model) return WAVENET_BAD_ARGUMENT;
  *model = NULL;
  FILE *stream = fopen(path, "rb");
  if (!stream) return WAVENET_CANNOT_READ;
  long size = -1;
  if (!fseek(stream, 0, SEEK_END)) size = ftell(stream);
  unsigned char *content = NULL;
  wavenet_status status = WAVENET_CANNOT_READ;
  if (size >= 0 && !fseek(stream, 0, SEEK_SET)) {
    content = malloc(size ? (size_t)size : 1);
    if (!content) status = WAVENET_NO_MEMORY;
  }
  if (content && fread(content, 1, (size_t)size, stream) == (size_t)size) {
    status = wavenet_open_memory(content, (size_t)size, NULL, model);
  }
  free(content);
  fclose(stream);
  return status;
}

static void free_stack(Stack *stack) {
  for (int i = 0; stack->blocks && i < stack->num_blocks; ++i) {
    free(stack->blocks[i].taps);
    free(stack->blocks[i].repeated);
  }
  free(stack->blocks);
}

void wavenet_close(wavenet_model *model) {
  if (!model) return;
  free_stack(&model->trunk);
  for (int i = 0; model->contexts && i < model->num_contexts; ++i) {
    free_stack(&model->contexts[i].stack);
  }
  free(model->contexts);
  free(model->upsampler.factors);
  free(model->upsampler.taps);
  free(model->upsampler.others);
  free((void *)model->upsampler.biases);
  free((void *)model->upsampler.filters);
  free(model->distribution.audio_of_code);
  free(model->memory);
  free(model);
}

const wavenet_info *wavenet_get_info(const wavenet_model *model) { return &model->info; }

const char *wavenet_status_text(wavenet_status status) {
  switch (status) {
    case WAVENET_OK: return "no error";
    case WAVENET_CANNOT_READ: return "the file cannot be read";
    case WAVENET_NO_MODEL: return "the file is no model of export/native.py, or is corrupted";
    case WAVENET_NO_MEMORY: return "there is not enough memory";
    case WAVENET_BAD_ARGUMENT: return "an argument is out of range";
    case WAVENET_BAD_CONDITION: return "a condition is missing, not taken, or out of range";
    case WAVENET_BAD_STATE: return "a state is corrupted, or of another model";
    case WAVENET_BAD_UNIFORMS: return "uniforms must be in [0, 1)";
    case WAVENET_NOT_FINITE: return "audio or conditions hold NaN or infinity";
    case WAVENET_NO_TARGET: return "the processor lacks the instructions of this target";
  }
  return "unknown status";
}
