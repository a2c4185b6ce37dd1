/* Reads the header of a safetensors file: JSON objects of strings and of whole numbers. */
#include "file.h"

#include <stdlib.h>
#include <string.h>

/* The checksum in the metadata is a CRC-32 of the file with the checksum's own digits as zeros. */
static const char CHECKSUM[] = "crc32";
enum { CHECKSUM_DIGITS = 8, HEADER_START = 8 };

/* A position in the header; `at` becomes NULL at the first thing that is wrong. */
typedef struct {
  const char *at, *end;
} Reader;

static void skip_spaces(Reader *reader) {
  while (reader->at && reader->at < reader->end && strchr(" \t\r\n", *reader->at) && *reader->at) {
    ++reader->at;
  }
}

/* Returns whether the next character is this one, and skips it then. */
static int accept(Reader *reader, char character) {
  skip_spaces(reader);
  if (!reader->at || reader->at == reader->end || *reader->at != character) return 0;
  ++reader->at;
  return 1;
}

static void expect(Reader *reader, char character) {
  if (!accept(reader, character)) reader->at = NULL;
}

/* Reads a string, of which escape sequences are left as they are. */
static Slice read_string(Reader *reader) {
  Slice slice = {"", 0};
  expect(reader, '"');
  if (!reader->at) return slice;
  slice.text = reader->at;
  while (reader->at < reader->end && *reader->at != '"') {
    reader->at += *reader->at == '\\' && reader->end - reader->at > 1 ? 2 : 1;
  }
  if (reader->at >= reader->end) {
    reader->at = NULL;
    return slice;
  }
  slice.size = (size_t)(reader->at++ - slice.text);
  return slice;
}

static uint64_t read_number(Reader *reader) {
  uint64_t number = 0;
  int digits = 0;
  skip_spaces(reader);
  while (reader->at && reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9') {
    number = number * 10 + (uint64_t)(*reader->at++ - '0');
    if (++digits > 18) reader->at = NULL;
  }
  if (!digits) reader->at = NULL;
  return number;
}

/* Reads an array of whole numbers, of which there are at most `most`; returns how many. */
static int read_numbers(Reader *reader, size_t *numbers, int most) {
  int count = 0;
  expect(reader, '[');
  if (accept(reader, ']')) return 0;
  do {
    uint64_t number = read_number(reader);
    if (count == most) reader->at = NULL;
    if (reader->at) numbers[count++] = (size_t)number;
  } while (reader->at && accept(reader, ','));
  expect(reader, ']');
  return count;
}

static int is_equal(Slice slice, const char *text) {
  return slice.size == strlen(text) && !memcmp(slice.text, text, slice.size);
}

/* Returns the array with space for one more element; NULL if there is no memory. */
static void *grow(void *array, size_t count, size_t size) {
  if (count & (count - 1)) return array; /* it has space up to the next power of two */
  return realloc(array, (count ? 2 * count : 1) * size);
}

static void read_metadata(Reader *reader, File *file) {
  expect(reader, '{');
  if (accept(reader, '}')) return;
  do {
    Entry entry;
    entry.name = read_string(reader);
    expect(reader, ':');
    entry.text = read_string(reader);
    if (!reader->at) return;
    Entry *entries = grow(file->entries, file->num_entries, sizeof *entries);
    if (!entries) {
      reader->at = NULL;
      return;
    }
    file->entries = entries;
    entries[file->num_entries++] = entry;
  } while (accept(reader, ','));
  expect(reader, '}');
}

/* Sets the type, the count and the data of a tensor; returns whether they fit the file. */
static int resolve(Tensor *tensor, Slice type, const size_t *offsets, const unsigned char *data,
                   size_t size) {
  size_t bytes = 4;
  if (is_equal(type, "F32")) {
    tensor->type = TYPE_FLOAT32;
  } else if (is_equal(type, "I32")) {
    tensor->type = TYPE_INT32;
  } else if (is_equal(type, "I8")) {
    tensor->type = TYPE_INT8;
    bytes = 1;
  } else {
    return 0;
  }
  if (offsets[0] > offsets[1] || offsets[1] > size) return 0;
  tensor->count = (offsets[1] - offsets[0]) / bytes;
  size_t count = 1;
  for (int i = 0; i < tensor->rank; ++i) {
    if (!tensor->shape[i] || count > tensor->count / tensor->shape[i]) return 0;
    count *= tensor->shape[i];
  }
  tensor->data = data + offsets[0];
  return count == tensor->count && count * bytes == offsets[1] - offsets[0];
}

static void read_tensor(Reader *reader, File *file, Slice name, const unsigned char *data,
                        size_t size) {
  Tensor tensor = {0};
  Slice type = {"", 0};
  size_t offsets[2] = {0, 0};
  int fields = 0;
  tensor.name = name;
  expect(reader, '{');
  do {
    Slice field = read_string(reader);
    expect(reader, ':');
    if (is_equal(field, "dtype")) {
      type = read_string(reader);
      fields |= 1;
    } else if (is_equal(field, "shape")) {
      tensor.rank = read_numbers(reader, tensor.shape, 2);
      fields |= 2;
    } else if (is_equal(field, "data_offsets")) {
      if (read_numbers(reader, offsets, 2) == 2) fields |= 4;
    } else {
      reader->at = NULL;
    }
  } while (reader->at && accept(reader, ','));
  expect(reader, '}');
  if (!reader->at || fields != 7 || !resolve(&tensor, type, offsets, data, size)) {
    reader->at = NULL;
    return;
  }
  Tensor *tensors = grow(file->tensors, file->num_tensors, sizeof *tensors);
  if (!tensors) {
    reader->at = NULL;
    return;
  }
  file->tensors = tensors;
  tensors[file->num_tensors++] = tensor;
}

static uint32_t crc32_of(uint32_t crc, const unsigned char *bytes, size_t size) {
  uint32_t table[256];
  for (uint32_t i = 0; i < 256; ++i) {
    table[i] = i;
    for (int bit = 0; bit < 8; ++bit) table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xEDB88320u : 0);
  }
  for (size_t i = 0; i < size; ++i) crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 255];
  return crc;
}

static int has_right_checksum(File *file, const unsigned char *content, size_t size) {
  for (size_t i = 0; i < file->num_entries; ++i) {
    Slice digits = file->entries[i].text;
    if (!is_equal(file->entries[i].name, CHECKSUM) || digits.size != CHECKSUM_DIGITS) continue;
    size_t place = (size_t)((const unsigned char *)digits.text - content);
    size_t after = place + CHECKSUM_DIGITS;
    uint32_t crc = crc32_of(0xFFFFFFFFu, content, place);
    crc = crc32_of(crc, (const unsigned char *)"00000000", CHECKSUM_DIGITS);
    crc = ~crc32_of(crc, content + after, size - after);
    file->checksum = crc;
    for (int digit = 0; digit < CHECKSUM_DIGITS; ++digit) {
      if (digits.text[digit] != "0123456789abcdef"[crc >> (28 - 4 * digit) & 15]) return 0;
    }
    return 1;
  }
  return 0;
}

int open_file(const unsigned char *content, size_t size, File *file) {
  memset(file, 0, sizeof *file);
  if (size < HEADER_START) return 0;
  uint64_t header = 0;
  for (int i = HEADER_START - 1; i >= 0; --i) header = header << 8 | content[i];
  if (header > size - HEADER_START) return 0;
  Reader reader = {(const char *)content + HEADER_START, NULL};
  reader.end = reader.at + header;
  const unsigned char *data = content + HEADER_START + header;
  size_t data_size = size - HEADER_START - (size_t)header;
  expect(&reader, '{');
  do {
    Slice name = read_string(&reader);
    expect(&reader, ':');
    if (!reader.at) break;
    if (is_equal(name, "__metadata__")) {
      read_metadata(&reader, file);
    } else {
      read_tensor(&reader, file, name, data, data_size);
    }
  } while (reader.at && accept(&reader, ','));
  expect(&reader, '}');
  skip_spaces(&reader);
  return reader.at == reader.end && has_right_checksum(file, content, size);
}

void close_file(File *file) {
  free(file->tensors);
  free(file->entries);
}

const Tensor *find_tensor(const File *file, const char *name) {
  for (size_t i = 0; i < file->num_tensors; ++i) {
    if (is_equal(file->tensors[i].name, name)) return &file->tensors[i];
  }
  return NULL;
}

static const Entry *find_entry(const File *file, const char *name) {
  for (size_t i = 0; i < file->num_entries; ++i) {
    if (is_equal(file->entries[i].name, name)) return &file->entries[i];
  }
  return NULL;
}

int64_t find_integer(const File *file, const char *name, int64_t most) {
  const Entry *entry = find_entry(file, name);
  if (!entry) return -1;
  Reader reader = {entry->text.text, entry->text.text + entry->text.size};
  uint64_t number = read_number(&reader);
  return reader.at == reader.end && number <= (uint64_t)most ? (int64_t)number : -1;
}

int has_text(const File *file, const char *name, const char *text) {
  const Entry *entry = find_entry(file, name);
  return entry && is_equal(entry->text, text);
}
