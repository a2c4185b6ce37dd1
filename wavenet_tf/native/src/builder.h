/* Reads sizes and weights from a file, and packs weights as the kernels read them. */
#ifndef WAVENET_BUILDER_H
#define WAVENET_BUILDER_H

#include "file.h"
#include "model.h"

#pragma GCC visibility push(hidden) /* only wavenet.h is public */

enum { MOST_CHANNELS = 65536, MOST_DILATION = 1 << 20, MOST_BLOCKS = 4096, MOST_FRAMES_AROUND = 256,
       MOST_UPSAMPLED = 1 << 27, ALIGNMENT = 64 };

/* Builds a model from a file. A first pass, without memory, counts the bytes of all weights. */
typedef struct {
  const File *file;
  wavenet_model *model;
  unsigned char *memory;
  size_t used;
  wavenet_status status;
} Builder;

/* Sets the status, if it is the first one that is wrong. */
void fail(Builder *builder, wavenet_status status);

/* Sets a pointer to zeroed memory for structures, unless the first pass has; returns if it could. */
int allocate(Builder *builder, void **pointer, size_t count, size_t size);
#define ALLOCATE(builder, pointer, count) \
  allocate(builder, (void **)&(pointer), (size_t)(count), sizeof *(pointer))

/* Returns a whole number of the metadata. */
int get_integer(Builder *builder, const char *name, int lowest, int most);

/* Returns the first number of a float32 tensor. */
float get_float(Builder *builder, const char *name);

/* Returns float32 numbers of a tensor, followed by zeros; NULL in the first pass. */
const float *read_floats(Builder *builder, const char *name, size_t count);

/* Returns the number of rows or columns of a tensor; 1 if it is no matrix. */
int rows_of(Builder *builder, const char *name);
int columns_of(Builder *builder, const char *name);

/* Reads an int32 tensor of numbers from 1 to `most` into new memory; returns how many. */
int read_integers(Builder *builder, const char *name, int **numbers, int most);

/* Reads a matrix that is a part of the rows of a tensor [rows, outputs], float32 or int8. */
void read_rows(Builder *builder, Matrix *matrix, const char *name, size_t rows, size_t first_input,
               int inputs, int outputs);

/* Reads a matrix that is a whole tensor. */
void read_matrix(Builder *builder, Matrix *matrix, const char *name, int inputs, int outputs);

/* Reads all weights in the order in which a step reads them. */
void read_model(Builder *builder);

/* Lays out the state of a stream, and computes the receptive field. */
void lay_out_state(Builder *builder);

#pragma GCC visibility pop

#endif
