// Recognizes blocks of audio with an exported classifier, as wavenet_tf/lite/recognizer.py does.

import { LiteRtModel } from "./litert.js";

export class Recognizer extends LiteRtModel {
  /** Begins anew, before the first sample. */
  async start() {
    this.forget(this.state);
    this.state = {};
    const { batch_size: batch, look_ahead: late } = this.metadata;
    this.rest = new Float32Array(0);
    // The first logits are those of frames before the audio.
    this.framesIn = 0;
    this.framesOut = -late;
    this.state = await this.call("initial_state", {
      streams: this.tensor(new Int32Array(batch), [batch]),
    });
  }

  /**
   * The logits of the frames that are complete, `look_ahead` frames late.
   *
   * @param {Float32Array} samples at the model's rate, of any number.
   * @returns {Promise<Float32Array[]>} the logits of each frame.
   */
  async push(samples) {
    const { block_size: size, frame_length: length } = this.metadata;
    this.rest = joined(this.rest, samples);
    const rows = [];
    while (this.rest.length >= size) {
      const block = this.rest.slice(0, size);
      this.rest = this.rest.slice(size);
      rows.push(...(await this.block(block, size / length)));
    }
    return rows;
  }

  /** The logits of the rest; the last frame is filled up with digital silence. */
  async end() {
    const { block_size: size, frame_length: length, look_ahead: late } = this.metadata;
    const inClip = Math.ceil(this.rest.length / length);
    const perBlock = size / length;
    const blocks = Math.ceil((inClip + late) / perBlock);
    const padded = joined(this.rest, new Float32Array(blocks * size - this.rest.length));
    this.rest = new Float32Array(0);
    const rows = [];
    for (let index = 0; index < blocks; index++) {
      const frames = Math.min(Math.max(inClip - index * perBlock, 0), perBlock);
      rows.push(...(await this.block(padded.slice(index * size, (index + 1) * size), frames)));
    }
    return rows;
  }

  /** The logits of the frames before a block, of which the first `inClip` frames are audio. */
  async block(audio, inClip) {
    const { batch_size: batch, block_size: size, frame_length: length } = this.metadata;
    const frames = size / length;
    const mask = Float32Array.from({ length: frames }, (_, index) => Number(index < inClip));
    const answer = await this.call("recognize_block", {
      audio: this.tensor(repeated(audio, batch), [batch, size]),
      frame_mask: this.tensor(repeated(mask, batch), [batch, frames]),
      ...this.state,
    });
    const { logits, ...state } = answer;
    this.state = state;
    const values = logits.toTypedArray();
    logits.delete();
    if (!values.every(Number.isFinite)) {
      throw new Error("it gives logits that hold NaN or infinity");
    }
    this.framesIn += inClip;
    const first = Math.max(0, -this.framesOut);
    const end = Math.min(frames, this.framesIn - this.framesOut);
    this.framesOut += frames;
    const classes = values.length / batch / frames;
    const rows = [];
    for (let frame = first; frame < end; frame++) {
      rows.push(values.slice(frame * classes, (frame + 1) * classes));
    }
    return rows;
  }
}

function joined(first, second) {
  const all = new Float32Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
}

function repeated(values, times) {
  const all = new Float32Array(values.length * times);
  for (let index = 0; index < times; index++) {
    all.set(values, index * values.length);
  }
  return all;
}
