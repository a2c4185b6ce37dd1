// WAV files of 16 bits, as wavenet_tf.write_audio writes them.

/** @param {Float32Array} audio in [-1, 1]. */
export function to16Bits(audio) {
  return Int16Array.from(audio, (value) => {
    const scaled = value * 32768;
    let step = Math.round(scaled);
    if (step - scaled === 0.5 && step % 2) {
      step -= 1; // halves to even, as numpy has them
    }
    return Math.min(Math.max(step, -32768), 32767);
  });
}

/**
 * @param {Int16Array[]} blocks of one channel.
 * @param {number} sampleRate
 */
export function wavFile(blocks, sampleRate) {
  const bytes = 2 * blocks.reduce((sum, block) => sum + block.length, 0);
  const header = new DataView(new ArrayBuffer(44));
  const write = (position, word) =>
    [...word].forEach((letter, index) => header.setUint8(position + index, letter.charCodeAt(0)));
  write(0, "RIFF");
  header.setUint32(4, 36 + bytes, true);
  write(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true);
  header.setUint32(24, sampleRate, true);
  header.setUint32(28, 2 * sampleRate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  write(36, "data");
  header.setUint32(40, bytes, true);
  return new Blob([header, ...blocks], { type: "audio/wav" });
}
