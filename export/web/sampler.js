// Samples blocks from an exported WaveNet with LiteRT's WebAssembly, as wavenet_tf/lite/runner.py does.

import { Generator } from "./random.js";

const PACKAGES = new URL("./node_modules/@litertjs/", import.meta.url);

/** LiteRT itself. Workers know no import maps, so that its one bare import is resolved here. */
async function loadLiteRt() {
  const answer = await fetch(new URL("core/dist/index.js", PACKAGES));
  if (!answer.ok) {
    throw new Error("LiteRT is not installed: run npm ci in export/web, then npm start");
  }
  const utilities = new URL("wasm-utils/dist/index.js", PACKAGES).href;
  const source = (await answer.text()).replace(
    /from\s*"@litertjs\/wasm-utils"/,
    `from "${utilities}"`,
  );
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const liteRt = await import(address);
  URL.revokeObjectURL(address);
  // In a worker, LiteRT would look for its WebAssembly beside the worker.
  const folder = new URL("core/wasm/", PACKAGES).href;
  self.Module = {
    locateFile: (name) => folder + name,
    // Errors report facts about the model.
    printErr: (line) => (line.startsWith("INFO:") ? console.info(line) : console.error(line)),
  };
  await liteRt.loadLiteRt(folder);
  return liteRt;
}

export class Sampler {
  /**
   * @param {Uint8Array} bytes of the TFLite file.
   * @param {{metadata: object, signatures: object}} facts of readModel.
   */
  static async load(bytes, facts) {
    const liteRt = await loadLiteRt();
    const model = await liteRt.loadAndCompile(bytes, { accelerator: "wasm" });
    return new Sampler(liteRt, model, facts);
  }

  constructor(liteRt, model, { metadata, signatures }) {
    this.liteRt = liteRt;
    this.model = model;
    this.metadata = metadata;
    this.signatures = signatures;
    this.state = {};
  }

  /**
   * Begins anew, after digital silence.
   *
   * @param {object} settings seed, temperature and conditions: the number `speaker_id`, the array
   *     `global_conditioning`, and `local_conditioning`, an object of `values` and their `count`.
   */
  async start({ seed, temperature, conditions }) {
    this.forget(this.state);
    this.state = {};
    this.generator = new Generator(seed);
    this.temperature = temperature;
    this.conditions = conditions;
    this.made = 0;
    const inputs = this.conditionsOfBlock(0, 1);
    // Frames of a vocoder: silence is conditioned on the first.
    this.state = await this.call("initial_state", inputs);
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

  tensor(values, shape) {
    return new this.liteRt.Tensor(values, shape);
  }

  /** What a signature gives; the state never leaves WebAssembly's memory. */
  async call(signature, inputs) {
    // LiteRT knows inputs and outputs by the names of their tensors.
    const names = this.signatures[signature];
    const runner = this.model.signatures[signature];
    const given = Object.fromEntries(
      Object.entries(names.inputs).map(([name, tensor]) => [tensor, inputs[name]]),
    );
    try {
      const outputs = await runner.run(given);
      return Object.fromEntries(
        Object.entries(names.outputs).map(([name, tensor]) => [name, outputs[tensor]]),
      );
    } finally {
      this.forget(inputs);
    }
  }

  forget(tensors) {
    Object.values(tensors).forEach((tensor) => tensor?.deleted || tensor?.delete());
  }
}
