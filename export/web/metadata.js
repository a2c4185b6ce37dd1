// Metadata of an exported model, read from the TFLite file, a flatbuffer, or from the file of
// libwavenet.

import { isNativeFile, readNativeMetadata } from "./native_file.js";

const METADATA_NAME = "wavenet";
const CHECKSUM_NAME = "wavenet_sha256";
const SIGNATURES = {
  generation: ["initial_state", "prime", "generate_block"],
  recognition: ["initial_state", "recognize_block"],
};
const SIZES = {
  generation: ["sample_rate", "block_size", "batch_size", "uniforms_per_sample"],
  recognition: ["sample_rate", "block_size", "batch_size", "frame_length", "num_classes"],
};
const PROSODY_SIZES = ["max_phones", "max_frames"]; // of a voice
const TARGETS = ["frames", "sequence", "clip", "tags"];
const CONDITIONS = ["speaker_id", "global_conditioning", "local_conditioning"];
// Places of fields in the tables of TFLite's schema.
const MODEL_BUFFERS = 4, MODEL_METADATA = 6, MODEL_SIGNATURES = 7;
const ENTRY_NAME = 0, ENTRY_BUFFER = 1; // of metadata
const BUFFER_DATA = 0;
const SIGNATURE_KEY = 2;

/** A file that this page cannot run, in words for its user. */
export class FileError extends Error {}

/**
 * Metadata of the model in a file.
 *
 * @param {Uint8Array} bytes of the file.
 * @param {string} name of the file, for messages.
 * @returns {Promise<{metadata: object, runtime: string}>} the exporter's metadata: task, sample
 *     rate, block size, conditioning, speakers, classes; and the name of what runs the file.
 */
export async function readModel(bytes, name) {
  const facts = isNativeFile(bytes) ? readNative(bytes, name) : await readTFLite(bytes, name);
  const { metadata } = facts;
  for (const key of [...SIZES[metadata.task], ...(metadata.prosody ? PROSODY_SIZES : [])]) {
    if (!(Number.isInteger(metadata[key]) && metadata[key] > 0)) {
      throw new FileError(`${name} has no ${key}`);
    }
  }
  (metadata.task === "recognition" ? checkRecognizer : checkGenerator)(metadata, name);
  return facts;
}

function readNative(bytes, name) {
  let metadata = null;
  try {
    metadata = readNativeMetadata(bytes);
  } catch {
    throw new FileError(`${name} is damaged`);
  }
  if (metadata?.task !== "generation") {
    throw new FileError(`${name} is no file that export/native.py wrote: it has no metadata`);
  }
  return { metadata, runtime: "libwavenet" };
}

async function readTFLite(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let metadata = null;
  let whole = false;
  let signatures;
  try {
    if (text(view, 4, 4) !== "TFL3") {
      throw new RangeError("it does not begin as one");
    }
    const model = target(view, 0);
    const buffers = tables(view, model, MODEL_BUFFERS);
    for (const entry of tables(view, model, MODEL_METADATA)) {
      const key = string(view, entry, ENTRY_NAME);
      const buffer = item(buffers, number(view, entry, ENTRY_BUFFER));
      if (key === METADATA_NAME) {
        metadata = JSON.parse(string(view, buffer, BUFFER_DATA));
      } else if (key === CHECKSUM_NAME) {
        whole = await isWhole(bytes, target(view, field(view, buffer, BUFFER_DATA)) + 4);
      }
    }
    signatures = tables(view, model, MODEL_SIGNATURES).map((signature) =>
      string(view, signature, SIGNATURE_KEY),
    );
  } catch {
    throw new FileError(`${name} is no TFLite file and none of libwavenet, or is damaged`);
  }
  if (metadata === null || typeof metadata !== "object") {
    throw new FileError(
      `${name} is no TFLite file that export/tflite.py wrote: it has no metadata`,
    );
  }
  if (!whole) {
    throw new FileError(`${name} is damaged: its checksum is another`);
  }
  metadata.task ??= "generation";
  if (!Object.hasOwn(SIGNATURES, metadata.task)) {
    throw new FileError(`${name} is a model of ${metadata.task}, which this page does not know`);
  }
  const needed = [...SIGNATURES[metadata.task], ...(metadata.prosody ? ["prosody"] : [])];
  const missing = needed.filter((signature) => !signatures.includes(signature));
  if (missing.length) {
    throw new FileError(`${name} is no TFLite file of a WaveNet: it lacks ${missing.join(", ")}`);
  }
  return { metadata, runtime: "LiteRT" };
}

/** Throws a FileError where the metadata lacks what recognition needs. */
function checkRecognizer(metadata, name) {
  const { look_ahead, targets, class_names, num_classes } = metadata;
  if (!(Number.isInteger(look_ahead) && look_ahead >= 0)) {
    throw new FileError(`${name} has no look_ahead`);
  }
  if (!TARGETS.includes(targets)) {
    throw new FileError(`${name} has classes of ${targets}, which this page does not know`);
  }
  if (metadata.block_size % metadata.frame_length) {
    throw new FileError(`${name} has blocks that are no whole frames`);
  }
  if (class_names !== null && class_names?.length !== num_classes) {
    throw new FileError(`${name} has no name for each class`);
  }
}

/** Throws a FileError where the metadata lacks what sampling needs. */
function checkGenerator(metadata, name) {
  if (!Array.isArray(metadata.conditioning)) {
    throw new FileError(`${name} does not list what it is conditioned on`);
  }
  const unknown = metadata.conditioning.filter((condition) => !CONDITIONS.includes(condition));
  if (unknown.length) {
    throw new FileError(
      `${name} is conditioned on ${unknown.join(", ")}, which this page does not know`,
    );
  }
  checkConditions(metadata, name);
}

/** Throws a FileError where the metadata lacks a size that the model's conditioning needs. */
function checkConditions(metadata, name) {
  const { conditioning } = metadata;
  const needed = [
    ...(conditioning.includes("speaker_id") ? ["num_speakers"] : []),
    ...(conditioning.includes("global_conditioning") ? ["global_channels"] : []),
    ...(conditioning.includes("local_conditioning") ? ["local_channels", "hop_length"] : []),
  ];
  for (const key of needed) {
    if (!(Number.isInteger(metadata[key]) && metadata[key] > 0)) {
      throw new FileError(`${name} has no ${key}`);
    }
  }
  if (conditioning.includes("local_conditioning")) {
    for (const key of ["frames_before", "frames_after"]) {
      if (!(Number.isInteger(metadata[key]) && metadata[key] >= 0)) {
        throw new FileError(`${name} has no ${key}`);
      }
    }
    if (metadata.block_size % metadata.hop_length) {
      throw new FileError(`${name} has blocks that are no whole frames`);
    }
  }
}

/** Whether a file has its checksum: over all of it, in which the checksum itself is zeros. */
async function isWhole(bytes, start) {
  const content = bytes.slice();
  const kept = content.slice(start, start + 32);
  content.fill(0, start, start + 32);
  const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return sum.every((byte, index) => byte === kept[index]);
}

// Every offset is relative to where it stands; DataView throws a RangeError outside of the file.
function target(view, position) {
  return position + view.getUint32(position, true);
}

/** Where a field of a table lies; 0 where it has its default. */
function field(view, table, index) {
  const description = table - view.getInt32(table, true);
  const place = 4 + 2 * index;
  if (place >= view.getUint16(description, true)) {
    return 0;
  }
  const offset = view.getUint16(description + place, true);
  return offset ? table + offset : 0;
}

function tables(view, table, index) {
  const place = field(view, table, index);
  if (!place) {
    return [];
  }
  const vector = target(view, place);
  const length = view.getUint32(vector, true);
  if (length > view.byteLength / 4) {
    throw new RangeError("a list is longer than the file");
  }
  return Array.from({ length }, (_, index) => target(view, vector + 4 + 4 * index));
}

function number(view, table, index) {
  const place = field(view, table, index);
  return place ? view.getUint32(place, true) : 0;
}

function item(list, index) {
  if (index >= list.length) {
    throw new RangeError("it refers to what it lacks");
  }
  return list[index];
}

/** A string, or a vector of bytes read as one. */
function string(view, table, index) {
  const place = field(view, table, index);
  if (!place) {
    return "";
  }
  const vector = target(view, place);
  return text(view, vector + 4, view.getUint32(vector, true));
}

function text(view, position, length) {
  if (position + length > view.byteLength) {
    throw new RangeError("it is cut off");
  }
  return new TextDecoder().decode(
    new Uint8Array(view.buffer, view.byteOffset + position, length),
  );
}
