// Samples blocks with libwavenet's WebAssembly, as wavenet_tf/native/runner.py does.

import { Generator } from "./random.js";

const LIBRARY = new URL("./libwavenet.wasm", import.meta.url);
// libwavenet opens no files, but its C library imports these functions.
const BAD_DESCRIPTOR = () => 8; // WASI's error EBADF
const NO_FILES = { fd_close: BAD_DESCRIPTOR, fd_seek: BAD_DESCRIPTOR, fd_write: BAD_DESCRIPTOR };
// Places of fields in the structures of wavenet.h, in bytes.
const INFO_STATE_BYTES = 40;
const SPEAKERS = 0, GLOBAL = 4, LOCAL = 8, FRAMES = 16, FIRST_SAMPLE = 24, CONDITIONS_BYTES = 32;

export class Sampler {
  /**
   * @param {Uint8Array} bytes of the model file.
   * @param {{metadata: object}} facts of readModel.
   */
  static async load(bytes, { metadata }) {
    const answer = await fetch(LIBRARY);
    if (!answer.ok) {
      throw new Error("libwavenet is not built: run npm run build in export/web, then npm start");
    }
    const imports = { wasi_snapshot_preview1: NO_FILES };
    const { instance } = await WebAssembly.instantiate(await answer.arrayBuffer(), imports);
    return new this(instance.exports, bytes, metadata);
  }

  /**
   * @param {object} library the functions and the memory of libwavenet.wasm.
   * @param {Uint8Array} bytes of the model file.
   * @param {object} metadata of the model.
   */
  constructor(library, bytes, metadata) {
    this.library = library;
    this.metadata = metadata;
    library._initialize();
    const content = this.place(bytes);
    const result = this.allocate(4); // of functions that open or make something
    this.check(library.wavenet_open_memory(content, bytes.length, 0, result));
    library.free(content);
    const model = this.view.getUint32(result, true);
    this.check(library.wavenet_new_workspace(model, 1, result));
    this.workspace = this.view.getUint32(result, true);
    const info = library.wavenet_get_info(model);
    this.state = this.allocate(Number(this.view.getBigInt64(info + INFO_STATE_BYTES, true)));
    const { block_size: size, uniforms_per_sample: each } = metadata;
    this.uniforms = this.allocate(4 * size * each);
    this.temperature = this.allocate(4);
    this.audio = this.allocate(4 * size);
    this.structure = this.allocate(CONDITIONS_BYTES);
    this.placed = [];
  }

  /** Begins anew, after digital silence; see sampler.js. */
  async start({ seed, temperature, conditions }) {
    this.generator = new Generator(seed);
    this.view.setFloat32(this.temperature, temperature, true);
    this.conditions = {};
    this.change(conditions);
    this.made = 0;
    this.check(
      this.library.wavenet_start(this.workspace, 1, this.conditionsOfBlock(), this.state),
    );
  }

  /** Changes the speaker or the tags from the next block on. */
  change(conditions) {
    this.conditions = { ...this.conditions, ...conditions };
    this.placed.forEach((place) => this.library.free(place));
    const { speaker_id, global_conditioning, local_conditioning } = this.conditions;
    this.placed = [
      speaker_id === undefined ? 0 : this.place(Int32Array.of(speaker_id)),
      global_conditioning === undefined ? 0 : this.place(global_conditioning),
      local_conditioning === undefined ? 0 : this.place(local_conditioning.values),
    ];
  }

  /** Samples until the frames end. */
  get length() {
    const frames = this.conditions.local_conditioning;
    return frames ? frames.count * this.metadata.hop_length : Infinity;
  }

  /** The next block; the last may be shorter. */
  async next() {
    const { block_size, uniforms_per_sample: each } = this.metadata;
    const samples = Math.min(block_size, this.length - this.made);
    const uniforms = this.generator.random(block_size * each).subarray(0, samples * each);
    new Float32Array(this.memory, this.uniforms).set(uniforms);
    this.check(
      this.library.wavenet_generate(
        this.workspace,
        1,
        this.conditionsOfBlock(),
        this.state,
        this.uniforms,
        this.temperature,
        BigInt(samples),
        this.audio,
      ),
    );
    this.made += samples;
    return new Float32Array(this.memory, this.audio, samples).slice();
  }

  /** The place of the conditions; the library repeats the first and the last frame around them. */
  conditionsOfBlock() {
    const { view, structure } = this;
    [SPEAKERS, GLOBAL, LOCAL].forEach((field, index) =>
      view.setUint32(structure + field, this.placed[index], true),
    );
    const frames = this.conditions.local_conditioning?.count ?? 0;
    view.setBigInt64(structure + FRAMES, BigInt(frames), true);
    view.setBigInt64(structure + FIRST_SAMPLE, BigInt(this.made), true);
    return structure;
  }

  get memory() {
    return this.library.memory.buffer; // another one after each growth
  }

  get view() {
    return new DataView(this.memory);
  }

  allocate(bytes) {
    const place = this.library.malloc(bytes);
    if (!place) {
      throw new Error("there is not enough memory");
    }
    return place;
  }

  /** The place of a copy of an array. */
  place(array) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    const place = this.allocate(Math.max(1, bytes.length));
    new Uint8Array(this.memory).set(bytes, place);
    return place;
  }

  check(status) {
    if (status) {
      const text = this.library.wavenet_status_text(status);
      const bytes = new Uint8Array(this.memory, text);
      throw new Error(new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0))));
    }
  }
}
