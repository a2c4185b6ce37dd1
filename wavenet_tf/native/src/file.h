/* A safetensors file in memory: named tensors, and texts by name in its metadata. */
#ifndef WAVENET_FILE_H
#define WAVENET_FILE_H

#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(hidden) /* only wavenet.h is public */

typedef enum { TYPE_FLOAT32, TYPE_INT32, TYPE_INT8 } TensorType;

typedef struct {
  const char *text;
  size_t size;
} Slice;

typedef struct {
  Slice name;
  TensorType type;
  int rank;
  size_t shape[2];
  size_t count;              /* of all numbers */
  const unsigned char *data; /* aligned to nothing */
} Tensor;

typedef struct {
  Slice name, text;
} Entry;

typedef struct {
  Tensor *tensors;
  Entry *entries;
  size_t num_tensors, num_entries;
  uint32_t checksum; /* of the whole file */
} File;

/* Reads the header of a file; returns whether it is sound: all data lie within the file, and the
 * checksum is right. `close_file` frees what was allocated, in either case.
 */
int open_file(const unsigned char *content, size_t size, File *file);
void close_file(File *file);

/* Returns the tensor of a name, or NULL. */
const Tensor *find_tensor(const File *file, const char *name);

/* Returns the whole number of a name from 0 to `most` in the metadata, or -1 if there is none. */
int64_t find_integer(const File *file, const char *name, int64_t most);

/* Returns whether the metadata has this text under a name. */
int has_text(const File *file, const char *name, const char *text);

#pragma GCC visibility pop

#endif
