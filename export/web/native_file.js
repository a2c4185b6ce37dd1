// Metadata of a model file of libwavenet, which has the format of safetensors.

const METADATA_NAME = "wavenet";
const LENGTH_BYTES = 8; // of the header's length, before the header

/** Whether a file may be one of libwavenet: a short header, which is JSON. */
export function isNativeFile(bytes) {
  return bytes.length > LENGTH_BYTES && bytes[LENGTH_BYTES] === 0x7b && headerSize(bytes) > 0;
}

/**
 * The metadata that export/native.py wrote; null in a file of another program.
 *
 * @param {Uint8Array} bytes of the file, whose checksum the library checks.
 * @throws {SyntaxError | RangeError} for a damaged file.
 */
export function readNativeMetadata(bytes) {
  const header = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + headerSize(bytes));
  const text = JSON.parse(new TextDecoder().decode(header)).__metadata__?.[METADATA_NAME];
  const metadata = text === undefined ? null : JSON.parse(text);
  return metadata && { ...metadata, batch_size: 1, quantization: metadata.precision };
}

function headerSize(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const size = Number(view.getBigUint64(0, true));
  return size <= bytes.length - LENGTH_BYTES ? size : 0;
}
