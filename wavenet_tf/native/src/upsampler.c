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

/* Convolves the frames around a frame; the first and the last frame of the signal repeat. */
static void convolve_frame(wavenet_workspace *workspace, const float *frames, int64_t num_frames,
                           int64_t frame, float *row) {
  const Upsampler *upsampler = &workspace->model->upsampler;
  const int features = upsampler->features, before = upsampler->frames_before - upsampler->reach;
  const int taps = before + 1 + upsampler->frames_after - upsampler->reach;
  for (int tap = 0; tap < taps; ++tap) {
    const float *from = frames + clipped(frame - before + tap, num_frames) * features;
    for (int f = 0; f < features; ++f) {
      workspace->frames[f] = (from[f] - upsampler->mean[f]) * upsampler->scale[f];
    }
    project(workspace->model->kernels, &upsampler->taps[tap], tap ? NULL : upsampler->biases[0], 1,
            workspace->frames, features, row, PADDED((size_t)upsampler->taps[0].outputs));
  }
}

/* Repeats each row `factor` times, and filters in time and across channels, with zeros beyond. */
static void filter_rows(const Upsampler *upsampler, const float *rows, int count, int factor,
                        const float *filter, float *filtered) {
  const int channels = upsampler->channels, bands = upsampler->bands;
  for (int t = 0; t < count * factor; ++t) {
    float *out = filtered + (size_t)t * (size_t)channels;
    memset(out, 0, (size_t)channels * sizeof *out);
    for (int tap = 0; tap <= 2 * factor; ++tap) {
      int from = t + tap - factor;
      if (from < 0 || from >= count * factor) continue;
      const float *row = rows + (size_t)(from / factor) * (size_t)channels;
      for (int band = 0; band < bands; ++band) {
        const int shift = band - bands / 2;
        const float weight = filter[tap * bands + band];
        const int first = shift < 0 ? -shift : 0;
        const int end = shift > 0 ? channels - shift : channels;
        for (int c = first; c < end; ++c) out[c] += weight * row[c + shift];
      }
    }
  }
}

/* Writes the rows of a frame's samples by repetition and filters. */
static void stretch_frame(wavenet_workspace *workspace, const float *frames, int64_t num_frames,
                          int64_t frame, float *upsampled) {
  const Upsampler *upsampler = &workspace->model->upsampler;
  const size_t channels = (size_t)upsampler->channels;
  float *rows = workspace->upsampling[0], *next = workspace->upsampling[1];
  const size_t stride = PADDED(channels);
  int count = 2 * upsampler->reach + 1;
  for (int r = 0; r < count; ++r) {
    convolve_frame(workspace, frames, num_frames, frame - upsampler->reach + r,
                   rows + (size_t)r * stride);
  }
  compact(rows, count, channels, stride);
  for (int i = 0; i < upsampler->num_factors; ++i) {
    filter_rows(upsampler, rows, count, upsampler->factors[i], upsampler->filters[i], next);
    count *= upsampler->factors[i];
    float *swapped = rows;
    rows = next;
    next = swapped;
  }
  const size_t hop = (size_t)upsampler->rows_per_frame;
  memcpy(upsampled, rows + (size_t)upsampler->reach * hop * channels,
         hop * channels * sizeof *rows);
}

void upsample_frame(wavenet_workspace *workspace, const float *frames, int64_t num_frames,
                    int64_t frame, float *upsampled) {
  const wavenet_model *model = workspace->model;
  const Upsampler *upsampler = &model->upsampler;
  if (upsampler->bands) {
    stretch_frame(workspace, frames, num_frames, frame, upsampled);
    return;
  }
  const int channels = upsampler->channels;
  float *rows = workspace->upsampling[0], *next = workspace->upsampling[1];
  size_t width = (size_t)upsampler->taps[0].outputs;
  convolve_frame(workspace, frames, num_frames, frame, rows);
  /* That of leaky ReLU is TensorFlow's default. */
  const float slope = upsampler->is_rectified ? 0.0f : 0.2f;
  int count = (int)(width / (size_t)channels);
  for (int i = 1; i < upsampler->num_convolutions; ++i) {
    rectify_rows(rows, count * channels, slope);
    width = (size_t)upsampler->others[i].outputs;
    project(model->kernels, &upsampler->others[i], upsampler->biases[i], count, rows, channels,
            next, PADDED(width));
    compact(next, count, width, PADDED(width));
    count *= upsampler->factors[i];
    float *swapped = rows;
    rows = next;
    next = swapped;
  }
  if (upsampler->is_rectified) rectify_rows(rows, count * channels, slope);
  memcpy(upsampled, rows, (size_t)count * (size_t)channels * sizeof *rows);
}
