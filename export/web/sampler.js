// Samples blocks from an exported WaveNet, as wavenet_tf/lite/runner.py does.

import { LiteRtModel } from "./litert.js";
import { Generator } from "./random.js";

export class Sampler extends LiteRtModel {
  /**
   * Begins anew, after digital silence.
   *
   * @param {object} settings seed, temperature and conditions: the number `speaker_id`, the array
   *     `global_conditioning`, and `local_conditioning`, an object of `values` and their `count`;
   *     of a voice, in place of `local_conditioning`, `speech` as encodePhones returns it.
   */
  async start({ seed, temperature, conditions, speech }) {
    this.forget(this.state);
    this.state = {};
    this.generator = new Generator(seed);
    this.temperature = temperature;
    this.conditions = conditions;
    if (speech) {
      this.conditions = { ...conditions, local_conditioning: await this.framesOfPhones(speech) };
    }
    this.made = 0;
    // Frames of a vocoder: silence is conditioned on the first ones.
    const inputs = this.conditionsOfBlock(0, Math.max(1, this.metadata.frames_after ?? 1));
    this.state = await this.call("initial_state", inputs);
  }

  /** The frames that speak phones, as `values` and their `count`. */
  async framesOfPhones(speech) {
    const { speaker_id } = this.conditions;
    const { max_frames, local_channels } = this.metadata;
    const inputs = { ...speech };
    if (speaker_id !== undefined) {
      inputs.speaker_id = Int32Array.of(speaker_id);
    }
    const shape = ({ length }) => (length === 1 ? [1] : [1, length]);
    const tensors = Object.entries(inputs).map(([name, values]) => [
      name,
      this.tensor(values, shape(values)),
    ]);
    const answer = await this.call("prosody", Object.fromEntries(tensors));
    const count = answer.durations.toTypedArray().reduce((sum, frames) => sum + frames, 0);
    const values = answer.local_conditioning.toTypedArray().slice(0, count * local_channels);
    this.forget(answer);
    if (count > max_frames) {
      throw new Error(`at most ${max_frames} frames are spoken at once; the phones take ${count}`);
    }
    return { values, count };
  }

  /** Changes the speaker or the tags from the next block on. */
  change(conditions) {
    this.conditions = { ...this.conditions, ...conditions };
  }

  /** Samples until the frames end. */
  get length() {
    const frames = this.conditions.local_conditioning;
    return frames ? frames.count * this.metadata.hop_length : Infinity;
  }

  /** The next block of the first stream; the last may be shorter. */
  async next() {
    const { batch_size: batch, block_size: size, uniforms_per_sample: each } = this.metadata;
    // Drawn time before batch, as in Python, and wanted batch before time.
    const drawn = this.generator.random(size * batch * each);
    const uniforms = new Float32Array(drawn.length);
    for (let time = 0; time < size; time++) {
      for (let stream = 0; stream < batch; stream++) {
        const from = (time * batch + stream) * each;
        uniforms.set(drawn.subarray(from, from + each), (stream * size + time) * each);
      }
    }
    const { hop_length: hop, frames_before: before, frames_after: after } = this.metadata;
    const answer = await this.call("generate_block", {
      uniforms: this.tensor(uniforms, each === 1 ? [batch, size] : [batch, size, each]),
      temperature: this.tensor(new Float32Array(batch).fill(this.temperature), [batch]),
      ...(hop
        ? this.conditionsOfBlock(this.made / hop - before, before + size / hop + after)
        : this.conditionsOfBlock()),
      ...this.state,
    });
    const { audio, ...state } = answer;
    this.state = state;
    const samples = audio.toTypedArray().slice(0, Math.min(size, this.length - this.made));
    audio.delete();
    if (!samples.every(Number.isFinite)) {
      throw new Error("it gives audio that holds NaN or infinity");
    }
    this.made += samples.length;
    return samples;
  }

  conditionsOfBlock(firstFrame, frames) {
    const { batch_size: batch, local_channels: channels } = this.metadata;
    const { speaker_id, global_conditioning, local_conditioning } = this.conditions;
    const inputs = {};
    if (speaker_id !== undefined) {
      inputs.speaker_id = this.tensor(new Int32Array(batch).fill(speaker_id), [batch]);
    }
    if (global_conditioning !== undefined) {
      const width = global_conditioning.length;
      const values = new Float32Array(batch * width);
      for (let stream = 0; stream < batch; stream++) {
        values.set(global_conditioning, stream * width);
      }
      inputs.global_conditioning = this.tensor(values, [batch, width]);
    }
    if (local_conditioning !== undefined) {
      const values = new Float32Array(batch * frames * channels);
      for (let row = 0; row < batch * frames; row++) {
        // Around the signal its first and last frame hold.
        const wanted = firstFrame + (row % frames);
        const frame = Math.min(Math.max(wanted, 0), local_conditioning.count - 1);
        const from = frame * channels;
        values.set(local_conditioning.values.subarray(from, from + channels), row * channels);
      }
      inputs.local_conditioning = this.tensor(values, [batch, frames, channels]);
    }
    return inputs;
  }
}
