/* Upsampling of local conditioning, a frame at a time. */
#include <string.h>

#include "workspace.h"

static int64_t clipped(int64_t frame, int64_t num_frames) {
  return frame < 0 ? 0 : frame >= num_frames ? num_frames - 1 : frame;
}

/* Repeats a bias for each row, and multiplies each row with a matrix. */
static void project(const Kernels *kernels, const Matrix *matrix, const float *bias, int rows,
                    const float *x, int channels, float *y, size_t stride) {
  for (int r = 0; r < rows; ++r) {
    const void *row = x + (size_t)r * (size_t)channels;
    float *out = y + (size_t)r * stride;
    if (bias) memcpy(out, bias, stride * sizeof *out);
    kernels->multiply(matrix, 1, &row, out, stride);
  }
}

/* Moves rows together that are padded to `stride`. */
static void compact(float *rows, int count, size_t width, size_t stride) {
  for (int r = 1; r < count; ++r) {
    memmove(rows + (size_t)r * width, rows + (size_t)r * stride, width * sizeof *rows);
  }
}

/* Multiplies negative values by a slope. */
static void rectify_rows(float *values, int count, float slope) {
  for (int i = 0; i < count; ++i) values[i] *= values[i] > 0.0f ? 1.0f : slope;
}

void upsample_frame(wavenet_workspace *workspace, const float *frames, int64_t num_frames,
                    int64_t frame, float *upsampled) {
  const wavenet_model *model = workspace->model;
  const Upsampler *upsampler = &model->upsampler;
  const Kernels *kernels = model->kernels;
  const int features = upsampler->features, channels = upsampler->channels;
  float *rows = workspace->upsampling[0], *next = workspace->upsampling[1];
  int before = upsampler->frames_before, taps = before + 1 + upsampler->frames_after;
  size_t width = (size_t)upsampler->taps[0].outputs;
  for (int tap = 0; tap < taps; ++tap) {
    const float *from = frames + clipped(frame - before + tap, num_frames) * features;
    for (int f = 0; f < features; ++f) {
      workspace->frames[f] = (from[f] - upsampler->mean[f]) * upsampler->scale[f];
    }
    project(kernels, &upsampler->taps[tap], tap ? NULL : upsampler->biases[0], 1,
            workspace->frames, features, rows, PADDED(width));
  }
  /* That of leaky ReLU is TensorFlow's default. */
  const float slope = upsampler->is_rectified ? 0.0f : 0.2f;
  int count = (int)(width / (size_t)channels);
  for (int i = 1; i < upsampler->num_factors; ++i) {
    rectify_rows(rows, count * channels, slope);
    width = (size_t)upsampler->others[i].outputs;
    project(kernels, &upsampler->others[i], upsampler->biases[i], count, rows, channels, next,
            PADDED(width));
    compact(next, count, width, PADDED(width));
    count *= upsampler->factors[i];
    float *swapped = rows;
    rows = next;
    next = swapped;
  }
  if (upsampler->is_rectified) rectify_rows(rows, count * channels, slope);
  memcpy(upsampled, rows, (size_t)count * (size_t)channels * sizeof *rows);
}
