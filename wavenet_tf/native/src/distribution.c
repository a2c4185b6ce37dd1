#include "distribution.h"

#include <math.h>

/* See wavenet_tf/distributions.py, which has the same constants and their reasons. */
static const float STEPS_OF_16_BITS = 32768.0f;
static const float SMALLEST_TEMPERATURE = 1e-7f;
static const float TYPICAL_LOG_SCALE = -4.0f;
static const float PRE_EMPHASIS = 0.85f;
static const float LARGEST_DISTANCE = 16.0f;
static const float LOG_OF_2_PI = 1.8378770664f;
static const float MU = 255.0f, LOG1P_OF_MU = 5.5451774445f;

/* Sums of so many probabilities are added up, before one of them is looked for. */
enum { GROUP_OF_CODES = 16 };

static float limited(float x, float lowest, float highest) {
  return x < lowest ? lowest : x > highest ? highest : x;
}

static float compand(float audio, float mu, float log1p_of_mu) {
  return copysignf(log1pf(mu * fabsf(limited(audio, -1.0f, 1.0f))) / log1p_of_mu, audio);
}

/* -------------------------------------------------------------------------------------- Values */

Value silence(const Distribution *distribution) {
  Value value = {0};
  if (distribution->kind == CATEGORICAL) value.code = distribution->silence;
  return value;
}

/* Returns how many of the ascending thresholds are at or below a sample of audio. */
static int32_t count_reached(const float *thresholds, int count, float audio) {
  int lowest = 0, above = count;
  while (lowest < above) {
    int middle = lowest + (above - lowest) / 2;
    if (audio >= thresholds[middle]) {
      lowest = middle + 1;
    } else {
      above = middle;
    }
  }
  return lowest;
}

Value encode(const Distribution *distribution, float audio) {
  Value value;
  if (distribution->thresholds) {
    value.code = count_reached(distribution->thresholds, distribution->size - 1, audio);
  } else if (distribution->kind == CATEGORICAL) {
    float mu = (float)distribution->size - 1.0f;
    float position = (compand(audio, mu, log1pf(mu)) + 1.0f) / 2.0f * mu;
    value.code = (int32_t)limited(floorf(position + 0.5f), 0.0f, mu);
  } else if (!distribution->is_rounded) {
    value.audio = limited(audio, -1.0f, 1.0f);
  } else {
    float steps = rintf(audio * STEPS_OF_16_BITS);
    value.audio = limited(steps, -STEPS_OF_16_BITS, STEPS_OF_16_BITS - 1.0f) / STEPS_OF_16_BITS;
  }
  return value;
}

float decode(const Distribution *distribution, Value value) {
  return distribution->kind == CATEGORICAL ? distribution->audio_of_code[value.code]
                                           : value.audio;
}

float companded(const Distribution *distribution, Value value) {
  if (distribution->kind != CATEGORICAL) return compand(value.audio, MU, LOG1P_OF_MU);
  return (float)(value.code - distribution->silence) / ((float)distribution->size / 2.0f);
}

int is_value(const Distribution *distribution, Value value) {
  if (distribution->kind == CATEGORICAL) {
    return value.code >= 0 && value.code < distribution->size;
  }
  return value.audio >= -1.0f && value.audio <= 1.0f;
}

/* --------------------------------------------------------------------------------- Categorical */

/* Writes exp((logits - largest) / temperature). */
static void exponentials(const Kernels *kernels, float *logits, int count, float temperature,
                         float *weights) {
  /* The rest of the last vector must not be the largest. */
  for (int i = count; i < PADDED(count); ++i) logits[i] = logits[0];
  kernels->exponentials(logits, count, temperature, weights);
}

/* Returns the index that a uniform number selects among logits. */
static int draw_index(const Kernels *kernels, float *logits, int count, float uniform,
                      float temperature, float *weights) {
  exponentials(kernels, logits, count, fmaxf(temperature, SMALLEST_TEMPERATURE), weights);
  float total = 0.0f;
  for (int i = 0; i < count; i += GROUP_OF_CODES) {
    float sum = 0.0f;
    for (int j = i; j < i + GROUP_OF_CODES && j < count; ++j) sum += weights[j];
    total += sum;
  }
  /* A rounding step below 1 keeps the index in range. */
  const float threshold = fminf(uniform, 1.0f - 0x1p-23f) * total;
  float before = 0.0f;
  int index = 0;
  for (int i = 0; i < count; i += GROUP_OF_CODES) {
    float sum = 0.0f;
    for (int j = i; j < i + GROUP_OF_CODES && j < count; ++j) sum += weights[j];
    if (before + sum > threshold) break;
    before += sum;
    index = i + GROUP_OF_CODES;
  }
  float sum = 0.0f;
  for (; index < count; ++index) {
    sum += weights[index];
    if (before + sum > threshold) break;
  }
  return index < count ? index : count - 1;
}

static float log_softmax(const Kernels *kernels, float *logits, int count, int index,
                         float *weights) {
  const float largest_of_index = logits[index];
  exponentials(kernels, logits, count, 1.0f, weights);
  float largest = logits[0], total = 0.0f;
  for (int i = 0; i < count; ++i) largest = fmaxf(largest, logits[i]);
  for (int i = 0; i < count; ++i) total += weights[i];
  return largest_of_index - largest - logf(total);
}

/* ------------------------------------------------------------------------------------ Mixtures */

typedef struct {
  float mean, log_scale;
} Component;

/* Returns a component's parameters; outputs may give its mean relative to the previous value. */
static Component component_of(const Distribution *distribution, const float *outputs, int index,
                              Value previous) {
  const float *distances = outputs + distribution->size, *log_scales = distances + distribution->size;
  Component component;
  component.log_scale =
      fmaxf(log_scales[index] + TYPICAL_LOG_SCALE, distribution->log_scale_floor);
  component.mean = distances[index];
  if (distribution->has_absolute_means) return component;
  float distance = LARGEST_DISTANCE * tanhf(distances[index] / LARGEST_DISTANCE);
  component.mean =
      PRE_EMPHASIS * previous.audio + expf(fminf(component.log_scale, 0.0f)) * distance;
  return component;
}

static float polynomial(float x, const float *coefficients, int count) {
  float result = coefficients[count - 1];
  for (int i = count - 2; i >= 0; --i) result = result * x + coefficients[i];
  return result;
}

/* Inverse of the cumulative normal distribution: Wichura 1988, algorithm AS 241, PPND7. */
static float normal_quantile(float uniform) {
  static const float a[] = {3.3871327179f, 50.434271938f, 159.29113202f, 59.109374720f};
  static const float b[] = {1.0f, 17.895169469f, 78.757757664f, 67.187563600f};
  static const float c[] = {1.4234372777f, 2.7568153900f, 1.3067284816f, 0.17023821103f};
  static const float d[] = {1.0f, 0.73700164250f, 0.12021132975f};
  static const float e[] = {6.6579051150f, 3.0812263860f, 0.42868294337f, 0.017337203997f};
  static const float f[] = {1.0f, 0.24197894225f, 0.012258202635f};
  float offset = uniform - 0.5f;
  if (fabsf(offset) <= 0.425f) {
    float inner = 0.180625f - offset * offset;
    return offset * polynomial(inner, a, 4) / polynomial(inner, b, 4);
  }
  float depth = sqrtf(-logf(fminf(uniform, 1.0f - uniform)));
  float size = depth <= 5.0f ? polynomial(depth - 1.6f, c, 4) / polynomial(depth - 1.6f, d, 3)
                             : polynomial(depth - 5.0f, e, 4) / polynomial(depth - 5.0f, f, 3);
  return copysignf(size, offset);
}

static float log_sigmoid(float x) { return fminf(x, 0.0f) - log1pf(expf(-fabsf(x))); }

static float logistic_log_likelihood(Component component, float value) {
  const float half_step = 0.5f / STEPS_OF_16_BITS;
  float inverse_scale = expf(-component.log_scale);
  float below = log_sigmoid((value + half_step - component.mean) * inverse_scale);
  float above = log_sigmoid(-(value - half_step - component.mean) * inverse_scale);
  if (value < -1.0f + half_step) return below;
  if (value > 1.0f - 3.0f * half_step) return above;
  return below + above + logf(-expm1f(-2.0f * half_step * inverse_scale));
}

static float normal_log_likelihood(Component component, float value) {
  float distance = (value - component.mean) * expf(-component.log_scale);
  return -logf(STEPS_OF_16_BITS) - 0.5f * LOG_OF_2_PI - component.log_scale -
         0.5f * distance * distance;
}

/* ---------------------------------------------------------------------------------------- Both */

Value draw(const Kernels *kernels, const Distribution *distribution, float *outputs,
           Value previous, const float *uniforms, float temperature, float *scratch) {
  Value value;
  if (distribution->kind == CATEGORICAL) {
    value.code =
        draw_index(kernels, outputs, distribution->size, uniforms[0], temperature, scratch);
    return value;
  }
  /* The logits are copied, because what pads them would overwrite the means. */
  float *logits = scratch + PADDED(distribution->size);
  for (int i = 0; i < distribution->size; ++i) logits[i] = outputs[i];
  int index =
      draw_index(kernels, logits, distribution->size, uniforms[0], temperature, scratch);
  Component component = component_of(distribution, outputs, index, previous);
  float uniform = limited(uniforms[1], 0x1p-25f, 1.0f - 0x1p-24f);
  float quantile = distribution->kind == LOGISTIC_MIXTURE ? logf(uniform) - log1pf(-uniform)
                                                          : normal_quantile(uniform);
  value = encode(distribution,
                 component.mean + temperature * expf(component.log_scale) * quantile);
  if (!is_value(distribution, value)) value = silence(distribution); /* NaN */
  return value;
}

float log_likelihood(const Kernels *kernels, const Distribution *distribution, float *outputs,
                     Value previous, Value value, float *scratch) {
  if (distribution->kind == CATEGORICAL) {
    return log_softmax(kernels, outputs, distribution->size, value.code, scratch);
  }
  float *logits = scratch + PADDED(distribution->size), largest = -INFINITY, total = 0.0f;
  float *terms = logits + PADDED(distribution->size);
  for (int i = 0; i < distribution->size; ++i) logits[i] = outputs[i];
  for (int i = 0; i < distribution->size; ++i) {
    Component component = component_of(distribution, outputs, i, previous);
    terms[i] = log_softmax(kernels, logits, distribution->size, i, scratch);
    terms[i] += distribution->kind == LOGISTIC_MIXTURE
                    ? logistic_log_likelihood(component, value.audio)
                    : normal_log_likelihood(component, value.audio);
    largest = fmaxf(largest, terms[i]);
  }
  for (int i = 0; i < distribution->size; ++i) total += expf(terms[i] - largest);
  return largest + logf(total);
}
