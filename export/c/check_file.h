#ifndef WAVENET_CHECK_FILE_H
#define WAVENET_CHECK_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether a TFLite file is whole: LiteRT itself reads beyond the end of one that is cut off.
 *
 * Every table, vector and string lies within the file, and every index names something. Knows the
 * parts of the format that export/tflite.py writes, and refuses others. */
bool is_sound(const uint8_t *bytes, size_t size);

#endif
