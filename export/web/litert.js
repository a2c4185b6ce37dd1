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
    // Errors report facts about the model.
    printErr: (line) => (line.startsWith("INFO:") ? console.info(line) : console.error(line)),
  };
  await liteRt.loadLiteRt(folder);
  return liteRt;
}

export class LiteRtModel {
  /**
   * @param {Uint8Array} bytes of the TFLite file.
   * @param {{metadata: object, signatures: object}} facts of readModel.
   */
  static async load(bytes, facts) {
    const liteRt = await loadLiteRt();
    const model = await liteRt.loadAndCompile(bytes, { accelerator: "wasm" });
    return new this(liteRt, model, facts);
  }

  constructor(liteRt, model, { metadata, signatures }) {
    this.liteRt = liteRt;
    this.model = model;
    this.metadata = metadata;
    this.signatures = signatures;
    this.state = {};
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
