// The page: what the user chooses, and what is told in return.

import { readFrames } from "./frames.js";
import { FileError, readModel } from "./metadata.js";
import { Player } from "./player.js";
import { to16Bits, wavFile } from "./wav.js";

// Of endless sampling, the WAV file holds so much.
const KEPT_SECONDS = 1800;

const part = (id) => document.getElementById(id);
const number = (value, digits = 0) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

let worker = null;
let metadata = null;
let fileName = "";
// Of the run: its player, blocks and figures.
let run = null;

// --- the model ---

/** Reads a model and gets ready to sample; `read` gives its bytes. */
async function load(name, read) {
  await leave();
  part("settings").disabled = true;
  tell("problem", "");
  tell("status", `Reading ${name} ...`);
  let bytes, facts;
  try {
    bytes = await read();
    facts = readModel(bytes, name);
  } catch (error) {
    fail(error instanceof FileError ? error.message : `cannot read ${name}: ${error.message}`);
    return;
  }
  fileName = name;
  metadata = facts.metadata;
  showModel();
  tell("status", "Starting LiteRT ...");
  worker = new Worker(new URL("./worker.js", import.meta.url));
  worker.onmessage = ({ data }) => handlers[data.type](data);
  worker.onerror = (event) => fail(event.message || "the worker could not be started");
  worker.postMessage({ type: "load", bytes, facts }, [bytes.buffer]);
}

/** Ends what a former model did. */
async function leave() {
  worker?.terminate();
  worker = null;
  metadata = null;
  await endRun();
  tell("model", "");
}

function showModel() {
  const { sample_rate: rate, block_size: size, batch_size: batch, conditioning } = metadata;
  const kind = metadata.quantization === "none" ? "float32" : metadata.quantization;
  const streams = batch > 1 ? `, ${batch} streams at once, of which the first is heard` : "";
  tell("model", `${fileName}: ${rate} Hz, ${kind}, blocks of ${size} samples${streams}`);
  for (const [row, condition] of [
    ["speaker_row", "speaker_id"],
    ["global_row", "global_conditioning"],
    ["local_row", "local_conditioning"],
  ]) {
    part(row).hidden = !conditioning.includes(condition);
  }
  const speakers = Array.from(
    { length: metadata.num_speakers ?? 0 },
    (_, index) => new Option(metadata.speaker_names?.[index] ?? `${index}`, index),
  );
  part("speaker").replaceChildren(...speakers);
  tell("channels", metadata.local_channels ?? "");
  part("seconds").disabled = conditioning.includes("local_conditioning");
}

// --- a run ---

async function start() {
  await endRun();
  tell("problem", "");
  for (const figure of ["speed", "factor", "first", "made", "heard"]) {
    tell(figure, "-");
  }
  let settings;
  try {
    settings = await readSettings();
  } catch (error) {
    fail(error.message);
    return;
  }
  const seconds = part("seconds").disabled ? "" : part("seconds").value;
  const samples = seconds ? Math.ceil(Number(seconds) * metadata.sample_rate) : Infinity;
  run = { settings, kept: [], made: 0, first: 0, over: false, finished: false, started: 0 };
  part("download").hidden = true;
  part("start").disabled = true;
  part("stop").disabled = false;
  try {
    run.player = await Player.create(metadata.sample_rate, showHeard);
  } catch (error) {
    fail(`cannot play audio of ${metadata.sample_rate} Hz: ${error.message}`);
    return;
  }
  // Waits for the user's click where none has started it.
  run.player.resume().then(showStatus);
  run.started = performance.now();
  worker.postMessage({ type: "start", settings, samples });
  showStatus();
}

async function readSettings() {
  const conditions = {};
  if (metadata.conditioning.includes("speaker_id")) {
    conditions.speaker_id = Number(part("speaker").value);
  }
  if (metadata.conditioning.includes("global_conditioning")) {
    const words = part("global").value.split(/[\s,]+/).filter(Boolean);
    const values = Float32Array.from(words, Number);
    if (values.length !== metadata.global_channels || !values.every(Number.isFinite)) {
      throw new FileError(`global conditioning takes ${metadata.global_channels} numbers`);
    }
    conditions.global_conditioning = values;
  }
  if (metadata.conditioning.includes("local_conditioning")) {
    const [file] = part("frames").files;
    if (!file) {
      throw new FileError(
        "this model is conditioned on frames, such as a mel spectrogram: choose a file of them",
      );
    }
    conditions.local_conditioning = readFrames(
      new Uint8Array(await file.arrayBuffer()),
      file.name,
      metadata.local_channels,
    );
  }
  const typed = part("seed").value;
  const [any] = crypto.getRandomValues(new Uint32Array(1));
  return {
    seed: typed === "" ? any : Number(typed),
    temperature: Number(part("temperature").value),
    conditions,
  };
}

// What the worker says.
const handlers = {
  loaded({ seconds }) {
    part("settings").disabled = false;
    tell("status", `Ready: LiteRT and the model took ${number(seconds, 1)} s.`);
    if (new URLSearchParams(location.search).has("autostart")) {
      start();
    }
  },

  block({ audio, speed }) {
    if (!run.made) {
      run.first = performance.now() - run.started;
      tell("first", `${number(run.first)} ms`);
    }
    const rate = metadata.sample_rate;
    if (run.made < KEPT_SECONDS * rate) {
      run.kept.push(to16Bits(audio));
    }
    run.made += audio.length;
    tell("speed", `${number(speed)} samples/s`);
    tell("factor", number(speed / rate, 2));
    tell("made", `${number(run.made / rate, 2)} s`);
    run.player.play(audio);
  },

  finished() {
    run.finished = true;
    run.player.end();
    part("start").disabled = false;
    part("stop").disabled = true;
    if (run.kept.length) {
      const { seed } = run.settings;
      const link = part("download");
      run.address = URL.createObjectURL(wavFile(run.kept, metadata.sample_rate));
      link.href = run.address;
      link.download = `${fileName.replace(/\.tflite$/, "")}_${seed}.wav`;
      link.hidden = false;
    }
    showStatus();
  },

  failed({ message }) {
    fail(message);
  },
};

function showHeard({ heard, gaps, over }) {
  const waits = gaps ? `, with ${gaps} waits for the model` : "";
  tell("heard", `${number(heard / metadata.sample_rate, 2)} s${waits}`);
  run.over = over;
  worker.postMessage({ type: "heard", samples: heard });
  if (over) {
    run.player.close();
    showStatus();
  }
}

function showStatus() {
  const { seed } = run.settings;
  if (run.over) {
    tell("status", `Done; seed ${seed}.`);
  } else if (run.player.heldBack) {
    tell("status", "The browser holds the sound back: click anywhere on this page to hear it.");
  } else {
    tell("status", run.finished ? `Sampled; playing. Seed ${seed}.` : `Sampling. Seed ${seed}.`);
  }
}

/** Silences a run that is over, or that another takes the place of. */
async function endRun() {
  const ended = run;
  run = null;
  await ended?.player?.close();
  if (ended?.address) {
    URL.revokeObjectURL(ended.address);
  }
}

function fail(message) {
  tell("problem", message);
  tell("status", "");
  part("start").disabled = false;
  part("stop").disabled = true;
}

function tell(id, words) {
  part(id).textContent = words;
}

// --- what the user does ---

part("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  if (file) {
    load(file.name, async () => new Uint8Array(await file.arrayBuffer()));
  }
});
part("form").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
part("stop").addEventListener("click", () => {
  worker.postMessage({ type: "stop" });
  run.player.close();
  run.over = true;
});
document.addEventListener("click", () => run?.player?.heldBack && run.player.resume());

const query = new URLSearchParams(location.search);
for (const setting of ["seed", "temperature", "seconds"]) {
  if (query.has(setting)) {
    part(setting).value = query.get(setting);
  }
}
const address = query.get("model");
if (address) {
  load(address.split("/").pop(), async () => {
    const answer = await fetch(address);
    if (!answer.ok) {
      throw new Error(`${answer.status} ${answer.statusText}`);
    }
    return new Uint8Array(await answer.arrayBuffer());
  });
}
