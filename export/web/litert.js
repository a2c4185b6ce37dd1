// Calls the signatures of an exported model with LiteRT's WebAssembly.

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
    // LiteRT reports everything here, facts about the model and warnings too.
    printErr: (line) => (/^(INFO|WARNING):/.test(line) ? console.info(line) : console.error(line)),
  };
  await liteRt.loadLiteRt(folder);
  return liteRt;
}

export class LiteRtModel {
  /**
   * @param {Uint8Array} bytes of the TFLite file.
   * @param {{metadata: object}} facts of readModel.
   */
  static async load(bytes, { metadata }) {
    const liteRt = await loadLiteRt();
    const model = await liteRt.loadAndCompile(bytes, { accelerator: "wasm" });
    return new this(liteRt, model, metadata);
  }

  constructor(liteRt, model, metadata) {
    this.liteRt = liteRt;
    this.model = model;
    this.metadata = metadata;
    this.state = {};
  }

  tensor(values, shape) {
    return new this.liteRt.Tensor(values, shape);
  }

  /** What a signature gives; the state never leaves WebAssembly's memory. */
  async call(signature, inputs) {
    try {
      return await this.model.signatures[signature].run(inputs);
    } finally {
      this.forget(inputs);
    }
  }

  forget(tensors) {
    Object.values(tensors).forEach((tensor) => tensor?.deleted || tensor?.delete());
  }
}
