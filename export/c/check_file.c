/* Follows the tables of a TFLite file; its schema is schema.fbs of LiteRT, of TensorFlow before. */
#include "check_file.h"

#include <string.h>

typedef struct {
  const uint8_t *bytes;
  size_t size;
} File;

/* The fields of each kind of table, two characters a field:
 *   .n  a number of n bytes           vn  a vector of such
 *   s   a string, perhaps absent      S   a string
 *   tX  a table X, perhaps absent     VX  a vector of tables X
 *   o   options of an operation       -   to be absent
 * Fields beyond those listed are later additions, which only have to lie within their table. */
static const char *fields_of(char table) {
  switch (table) {
    case 'M': return ".4VCVGs VBv4VDVS- - ";       /* Model */
    case 'C': return ".1s .4.4";                   /* OperatorCode */
    case 'G': return "VTv4v4VOs ";                 /* SubGraph */
    case 'T': return "v4.1.4s tQ.1- v4.1- ";       /* Tensor */
    case 'Q': return "v4v4v4v8.1- .4";             /* QuantizationParameters */
    case 'O': return ".4v4v4.1o v1.1v1v4- - .1- "; /* Operator */
    case 'B': return "v1- - ";                     /* Buffer */
    case 'D': return "S .4";                       /* Metadata */
    case 'S': return "VIVIS - .4";                 /* SignatureDef */
    case 'I': return "S .4";                       /* TensorMap */
    case 'R': return "v4";                         /* options with a vector */
    default: return "";                            /* options of numbers only */
  }
}

enum { RESHAPE_OPTIONS = 17, SQUEEZE_OPTIONS = 30 };

static uint32_t number(const File *file, size_t place, int num_bytes) {
  uint32_t value = 0;
  for (int i = 0; i < num_bytes; ++i) value |= (uint32_t)file->bytes[place + i] << (8 * i);
  return value;
}

static bool holds(const File *file, size_t place, uint64_t length) {
  return place <= file->size && length <= file->size - place;
}

/* Where a field of a table lies that has been checked; 0 where it is absent. */
static size_t field(const File *file, size_t table, size_t index) {
  size_t names = table - (size_t)(int32_t)number(file, table, 4);
  if (4 + 2 * index + 2 > number(file, names, 2)) return 0;
  uint32_t offset = number(file, names + 4 + 2 * index, 2);
  return offset ? table + offset : 0;
}

static uint32_t value(const File *file, size_t table, size_t index, int num_bytes) {
  size_t place = field(file, table, index);
  return place ? number(file, place, num_bytes) : 0;
}

/* Follows a field to a table, vector or string; 0 where it is absent. */
static size_t follow(const File *file, size_t table, size_t index) {
  size_t place = field(file, table, index);
  return place ? place + number(file, place, 4) : 0;
}

static uint32_t length(const File *file, size_t vector) {
  return vector ? number(file, vector, 4) : 0;
}

/* An entry of a vector of tables. */
static size_t entry(const File *file, size_t vector, uint32_t index) {
  size_t place = vector + 4 + 4 * (size_t)index;
  return place + number(file, place, 4);
}

static bool is_vector(const File *file, size_t place, uint64_t width, uint64_t extra) {
  return place % 4 == 0 && holds(file, place, 4) &&
         holds(file, place + 4, number(file, place, 4) * width + extra);
}

static bool is_table(const File *file, size_t place, char kind) {
  if (place % 4 || !holds(file, place, 4)) return false;
  int64_t start = (int64_t)place - (int32_t)number(file, place, 4);
  if (start < 0 || start % 2 || !holds(file, (size_t)start, 4)) return false;
  size_t names = (size_t)start;
  uint32_t names_size = number(file, names, 2), table_size = number(file, names + 2, 2);
  if (names_size < 4 || names_size % 2 || !holds(file, names, names_size) ||
      !holds(file, place, table_size)) {
    return false;
  }
  const char *fields = fields_of(kind);
  size_t num_known = strlen(fields) / 2;
  for (size_t index = 0; 4 + 2 * index + 2 <= names_size; ++index) {
    uint32_t offset = number(file, names + 4 + 2 * index, 2);
    if (offset && (offset < 4 || offset >= table_size)) return false;
  }
  for (size_t index = 0; index < num_known; ++index) {
    char type = fields[2 * index], detail = fields[2 * index + 1];
    size_t at = field(file, place, index);
    if (!at) {
      if (type == 'S' || type == 'V') return false;
      continue;
    }
    uint32_t width = type == '.' ? (uint32_t)(detail - '0') : 4;
    if (type == '-' || at - place + width > table_size) return false;
    if (type == '.') continue;
    size_t target = at + number(file, at, 4);
    if (type == 'v' && !is_vector(file, target, (uint64_t)(detail - '0'), 0)) return false;
    if (type == 's' || type == 'S') {
      if (!is_vector(file, target, 1, 1)) return false;
      if (file->bytes[target + 4 + number(file, target, 4)]) return false;
    }
    if (type == 't' && !is_table(file, target, detail)) return false;
    if (type == 'o') {
      uint32_t options = value(file, place, index - 1, 1);
      bool has_vector = options == RESHAPE_OPTIONS || options == SQUEEZE_OPTIONS;
      if (!is_table(file, target, has_vector ? 'R' : 'N')) return false;
    }
    if (type == 'V') {
      if (!is_vector(file, target, 4, 0)) return false;
      for (uint32_t i = 0; i < length(file, target); ++i) {
        if (!is_table(file, entry(file, target, i), detail)) return false;
      }
    }
  }
  return true;
}

/* Whether the numbers of a vector are -1, for none, or name one of so many things. */
static bool are_indices(const File *file, size_t vector, uint32_t count) {
  for (uint32_t i = 0; i < length(file, vector); ++i) {
    uint32_t index = number(file, vector + 4 + 4 * (size_t)i, 4);
    if (index != UINT32_MAX && index >= count) return false;
  }
  return true;
}

static bool is_graph(const File *file, size_t graph, uint32_t num_codes, uint32_t num_buffers) {
  size_t tensors = follow(file, graph, 0), operators = follow(file, graph, 3);
  uint32_t num_tensors = length(file, tensors);
  if (!are_indices(file, follow(file, graph, 1), num_tensors)) return false;
  if (!are_indices(file, follow(file, graph, 2), num_tensors)) return false;
  for (uint32_t i = 0; i < num_tensors; ++i) {
    if (value(file, entry(file, tensors, i), 2, 4) >= num_buffers) return false;
  }
  for (uint32_t i = 0; i < length(file, operators); ++i) {
    size_t operation = entry(file, operators, i);
    if (value(file, operation, 0, 4) >= num_codes) return false;
    for (size_t list = 1; list <= 2; ++list) {
      if (!are_indices(file, follow(file, operation, list), num_tensors)) return false;
    }
    if (!are_indices(file, follow(file, operation, 8), num_tensors)) return false;
  }
  return true;
}

static bool is_signature(const File *file, size_t signature, size_t graphs) {
  uint32_t graph = value(file, signature, 4, 4);
  if (graph >= length(file, graphs)) return false;
  uint32_t num_tensors = length(file, follow(file, entry(file, graphs, graph), 0));
  for (size_t list = 0; list <= 1; ++list) {
    size_t tensors = follow(file, signature, list);
    for (uint32_t i = 0; i < length(file, tensors); ++i) {
      if (value(file, entry(file, tensors, i), 1, 4) >= num_tensors) return false;
    }
  }
  return true;
}

bool is_sound(const uint8_t *bytes, size_t size) {
  File file = {bytes, size};
  if (size < 8 || size > INT32_MAX || memcmp(bytes + 4, "TFL3", 4)) return false;
  size_t model = number(&file, 0, 4);
  if (!is_table(&file, model, 'M')) return false;
  size_t graphs = follow(&file, model, 2), metadata = follow(&file, model, 6);
  size_t signatures = follow(&file, model, 7);
  uint32_t num_codes = length(&file, follow(&file, model, 1));
  uint32_t num_buffers = length(&file, follow(&file, model, 4));
  if (!length(&file, graphs)) return false;
  for (uint32_t i = 0; i < length(&file, graphs); ++i) {
    if (!is_graph(&file, entry(&file, graphs, i), num_codes, num_buffers)) return false;
  }
  for (uint32_t i = 0; i < length(&file, metadata); ++i) {
    if (value(&file, entry(&file, metadata, i), 1, 4) >= num_buffers) return false;
  }
  for (uint32_t i = 0; i < length(&file, signatures); ++i) {
    if (!is_signature(&file, entry(&file, signatures, i), graphs)) return false;
  }
  return true;
}
