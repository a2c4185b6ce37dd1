// Frames of local conditioning from a file: .npy of float32 or float64, or nested lists in .json.

import { FileError } from "./metadata.js";

/**
 * Frames as one array, and how many there are.
 *
 * @param {Uint8Array} bytes of the file.
 * @param {string} name of the file.
 * @param {number} channels that the model wants.
 */
export function readFrames(bytes, name, channels) {
  let values, shape;
  try {
    [values, shape] = name.endsWith(".json") ? readJson(bytes) : readNpy(bytes);
  } catch (error) {
    throw new FileError(`cannot read frames from ${name}: ${error.message}`);
  }
  if (shape.length === 3 && shape[0] === 1) {
    shape = shape.slice(1);
  }
  if (shape.length !== 2 || shape[1] !== channels || !shape[0]) {
    throw new FileError(
      `the frames in ${name} must have shape [frames, ${channels}]; it has [${shape.join(", ")}]`,
    );
  }
  if (!values.every(Number.isFinite)) {
    throw new FileError(`${name} holds numbers that are not finite (NaN or infinity)`);
  }
  return { values, count: shape[0] };
}

function readJson(bytes) {
  let frames = JSON.parse(new TextDecoder().decode(bytes));
  if (Array.isArray(frames?.[0]?.[0]) && frames.length === 1) {
    [frames] = frames;
  }
  const width = frames?.[0]?.length;
  const fits = (frame) =>
    Array.isArray(frame) && frame.length === width && frame.every((x) => typeof x === "number");
  if (!Array.isArray(frames) || !frames.every(fits)) {
    throw new Error("it is no list of frames, which are lists of as many numbers each");
  }
  return [Float32Array.from(frames.flat()), [frames.length, width ?? 0]];
}

function readNpy(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begin = bytes.length > 12 ? String.fromCharCode(...bytes.subarray(1, 6)) : "";
  if (bytes[0] !== 0x93 || begin !== "NUMPY") {
    throw new Error("it is no .npy file");
  }
  const long = bytes[6] > 1;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  const header = new TextDecoder().decode(bytes.subarray(start, end));
  const type = /'descr': '([^']+)'/.exec(header)?.[1];
  const width = { "<f4": 4, "<f8": 8 }[type];
  if (!width || !header.includes("'fortran_order': False")) {
    throw new Error("its numbers must be float32 or float64, in C order");
  }
  const shape = (/'shape': \(([^)]*)\)/.exec(header)?.[1].match(/\d+/g) ?? []).map(Number);
  const count = shape.reduce((product, size) => product * size, 1);
  if (end + width * count > bytes.length) {
    throw new Error("it is cut off");
  }
  const values = new Float32Array(count);
  for (let index = 0; index < count; index++) {
    const place = end + width * index;
    values[index] = width === 4 ? view.getFloat32(place, true) : view.getFloat64(place, true);
  }
  return [values, shape];
}
