// Recognizes away from the page, which stays alive. A classic worker, as LiteRT calls importScripts.

let recognizer = null;
let seconds = 0; // spent on the audio so far
let samples = 0;
// Messages are handled one after the other: each block needs the state after the one before.
let before = Promise.resolve();

const handlers = {
  async load({ bytes, facts }) {
    const started = performance.now();
    const { Recognizer } = await import("./recognizer.js");
    recognizer = await Recognizer.load(bytes, facts);
    postMessage({ type: "loaded", seconds: (performance.now() - started) / 1000 });
  },

  /** Begins a run, whose number goes with its answers. */
  async start() {
    seconds = 0;
    samples = 0;
    await recognizer.start();
  },

  async audio({ run, audio }) {
    samples += audio.length;
    await answer(run, () => recognizer.push(audio), false);
  },

  async end({ run }) {
    await answer(run, () => recognizer.end(), true);
  },
};

async function answer(run, logits, over) {
  const started = performance.now();
  const rows = await logits();
  seconds += (performance.now() - started) / 1000;
  const factor = samples / recognizer.metadata.sample_rate / seconds;
  postMessage({ type: "recognized", run, rows, factor, over });
}

self.onmessage = ({ data }) => {
  before = before
    .then(() => handlers[data.type](data))
    .catch((error) => postMessage({ type: "failed", message: String(error?.message ?? error) }));
};
