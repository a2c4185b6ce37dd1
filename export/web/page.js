// The page: the settings of the user, and the figures that it shows.

import { readFrames } from "./frames.js";
import { FileError, readModel } from "./metadata.js";
import { encodePhones } from "./phones.js";
import { Player } from "./player.js";
import { Recognition } from "./recognition.js";
import { to16Bits, wavFile } from "./wav.js";

// Of endless sampling, the WAV file holds so much.
const KEPT_SECONDS = 1800;

const part = (id) => document.getElementById(id);
const number = (value, digits = 0) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });

const query = new URLSearchParams(location.search);
// With the model that the address names.
let autostart = query.has("autostart");
let worker = null;
let metadata = null;
let runtime = "";
let fileName = "";
// Which of the models chosen is being read; it may be overtaken by another.
let loads = 0;
// Of the run: its settings, player and blocks. What belongs to a former one comes too late.
let run = null;
// Of a model that recognizes.
const recognition = new Recognition({ part, show, number, fail });

// --- the model ---

/** Reads a model and gets ready to sample; `read` gives its bytes. */
async function load(name, read) {
  const mine = ++loads;
  leave();
  show("status", `Reading ${name} ...`);
  let bytes, facts;
  try {
    bytes = await read();
    facts = await readModel(bytes, name);
  } catch (error) {
    if (mine === loads) {
      fail(error instanceof FileError ? error.message : `cannot read ${name}: ${error.message}`);
    }
    return;
  }
  if (mine !== loads) {
    return;
  }
  fileName = name;
  metadata = facts.metadata;
  showModel();
  runtime = facts.runtime;
  show("status", `Starting ${runtime} ...`);
  const recognizes = metadata.task === "recognition";
  worker = new Worker(
    new URL(recognizes ? "./recognition_worker.js" : "./worker.js", import.meta.url),
  );
  const answers = recognizes ? recognition.use(worker, metadata) : handlers;
  worker.onmessage = ({ data }) => (answers[data.type] ?? handlers[data.type])(data);
  worker.onerror = (event) => fail(event.message || "the worker could not be started");
  worker.postMessage({ type: "load", bytes, facts }, [bytes.buffer]);
}

/** Ends what a former model did. */
function leave() {
  worker?.terminate();
  worker = null;
  metadata = null;
  endRun();
  recognition.leave();
  part("settings").disabled = true;
  show("model", "");
}

function showModel() {
  const { sample_rate: rate, block_size: size, batch_size: batch, conditioning } = metadata;
  const kind = metadata.quantization === "none" ? "float32" : metadata.quantization;
  const streams = batch > 1 ? `, ${batch} streams at once, of which the first is played` : "";
  const recognizes = metadata.task === "recognition";
  part("settings").hidden = recognizes;
  part("recognition").hidden = !recognizes;
  if (recognizes) {
    const classes = `${metadata.num_classes} classes of ${metadata.targets}`;
    show("model", `${fileName}: ${rate} Hz, ${kind}, ${classes}`);
    return;
  }
  show("model", `${fileName}: ${rate} Hz, ${kind}, blocks of ${size} samples${streams}`);
  for (const [row, condition] of [
    ["speaker_row", "speaker_id"],
    ["global_row", "global_conditioning"],
    ["local_row", "local_conditioning"],
  ]) {
    part(row).hidden = !conditioning.includes(condition);
  }
  part("phones_row").hidden = part("rate_row").hidden = !metadata.prosody;
  part("pitch_row").hidden = !(metadata.prosody && metadata.features);
  const tags = metadata.tag_names ?? [];
  part("global_row").hidden ||= tags.length > 0;
  part("tags_row").hidden = !tags.length;
  part("tags_row").replaceChildren(part("tags_row").firstChild, ...tags.map(slider));
  const speakers = Array.from(
    { length: metadata.num_speakers ?? 0 },
    (_, index) => new Option(metadata.speaker_names?.[index] ?? `${index}`, index),
  );
  part("speaker").replaceChildren(...speakers);
  show("channels", metadata.local_channels ?? "");
  part("seconds").disabled = conditioning.includes("local_conditioning");
}

/** A slider from 0 to 1 for the strength of a tag. */
function slider(tag, index) {
  const input = document.createElement("input");
  Object.assign(input, { type: "range", id: `tag_${index}`, min: 0, max: 1, step: 0.01, value: 0 });
  const label = document.createElement("label");
  label.append(`${tag} `, input);
  return label;
}

// --- a run ---

async function start() {
  endRun();
  const mine = { settings: null, player: null, kept: [], made: 0, finished: false, over: false };
  run = mine;
  part("start").disabled = true;
  const { sample_rate: rate } = metadata;
  try {
    mine.settings = await readSettings();
    mine.player = await Player.create(rate, (progress) => mine === run && showPlayed(progress));
  } catch (error) {
    if (mine === run) {
      fail(error.message);
    }
    return;
  }
  if (mine !== run) {
    mine.player.close();
    return;
  }
  part("stop").disabled = false;
  const seconds = part("seconds").disabled ? "" : part("seconds").value;
  const samples = seconds ? Math.round(Number(seconds) * rate) : Infinity;
  mine.started = performance.now();
  worker.postMessage({ type: "start", settings: mine.settings, samples });
  showStatus();
  // Waits for the user's click where none has started it; a run that ends before gives it up.
  mine.player.resume().then(() => mine === run && showStatus(), () => {});
}

/** The speaker and the tags, which may change during a run, or the numbers in their place. */
function readGlobalConditions() {
  const conditions = {};
  if (metadata.conditioning.includes("speaker_id")) {
    conditions.speaker_id = Number(part("speaker").value);
  }
  if (metadata.conditioning.includes("global_conditioning")) {
    const sliders = Array.from(part("tags_row").querySelectorAll("input"), ({ value }) => value);
    const words = part("global").value.split(/[\s,]+/).filter(Boolean);
    const values = Float32Array.from(sliders.length ? sliders : words, Number);
    if (values.length !== metadata.global_channels || !values.every(Number.isFinite)) {
      throw new FileError(`global conditioning takes ${metadata.global_channels} numbers`);
    }
    conditions.global_conditioning = values;
  }
  return conditions;
}

async function readSettings() {
  const conditions = readGlobalConditions();
  const [file] = part("frames").files;
  let speech = null;
  if (metadata.prosody && !file) {
    const [rate, semitones] = ["rate", "pitch"].map((id) => Number(part(id).value));
    speech = encodePhones(part("phones").value, rate, semitones, metadata);
  } else if (metadata.conditioning.includes("local_conditioning")) {
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
    // Digits beyond what a number holds count too.
    seed: /^\d+$/.test(typed) ? BigInt(typed) : Number(typed || any),
    temperature: Number(part("temperature").value),
    conditions,
    speech,
  };
}

// What the worker says.
const handlers = {
  loaded({ seconds }) {
    part("settings").disabled = false;
    part("recognition").disabled = false;
    show("status", `Ready: ${runtime} and the model took ${number(seconds, 1)} s.`);
    if (autostart && metadata.task === "generation") {
      autostart = false;
      part("form").requestSubmit(); // checks the settings
    }
  },

  block({ audio, speed }) {
    if (!run.made) {
      show("first", `${number(performance.now() - run.started)} ms`);
    }
    const rate = metadata.sample_rate;
    if (run.made < KEPT_SECONDS * rate) {
      run.kept.push(to16Bits(audio));
    }
    run.made += audio.length;
    show("speed", `${number(speed)} samples/s`);
    show("factor", number(speed / rate, 2));
    show("made", `${number(run.made / rate, 2)} s`);
    run.player.play(audio);
  },

  finished() {
    run.finished = true;
    run.player.end();
    part("start").disabled = false;
    part("stop").disabled = run.over;
    if (run.kept.length) {
      const { seed } = run.settings;
      const link = part("download");
      run.address = URL.createObjectURL(wavFile(run.kept, metadata.sample_rate));
      link.href = run.address;
      link.download = `${fileName.replace(/\.(tflite|wn)$/, "")}_${seed}.wav`;
      link.hidden = false;
    }
    showStatus();
  },

  failed({ message }) {
    fail(`cannot run ${fileName}: ${message}`);
  },
};

function showPlayed({ played, gaps, over }) {
  const waits = gaps ? `, with ${gaps} wait${gaps > 1 ? "s" : ""} for the model` : "";
  show("played", `${number(played / metadata.sample_rate, 2)} s${waits}`);
  worker.postMessage({ type: "played", samples: played });
  if (over) {
    silence();
    showStatus();
  }
}

function silence() {
  run.over = true;
  run.player.close();
  part("stop").disabled = true;
}

function showStatus() {
  const { seed } = run.settings;
  if (run.over) {
    show("status", `Done; seed ${seed}.`);
  } else if (run.player.heldBack) {
    show("status", "The browser holds the sound back: click anywhere on this page to play it.");
  } else {
    show("status", run.finished ? `Sampled; playing. Seed ${seed}.` : `Sampling. Seed ${seed}.`);
  }
}

/** Silences a run, and takes away what it showed. */
function endRun() {
  run?.player?.close();
  if (run?.address) {
    URL.revokeObjectURL(run.address);
  }
  run = null;
  part("start").disabled = false;
  part("stop").disabled = true;
  part("download").hidden = true;
  for (const words of ["problem", "status"]) {
    show(words, "");
  }
  for (const figure of ["speed", "factor", "first", "made", "played"]) {
    show(figure, "-");
  }
}

function fail(message) {
  endRun();
  recognition.stop();
  show("problem", message);
}

function show(id, words) {
  part(id).textContent = words;
}

// --- what the user does ---

for (const input of document.querySelectorAll("input[type=file]")) {
  // A file that has been written anew may be chosen again.
  input.addEventListener("click", () => {
    input.value = "";
  });
}
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
for (const row of ["tags_row", "speaker"]) {
  part(row).addEventListener("input", () => {
    if (run?.settings && !run.finished) {
      worker.postMessage({ type: "change", conditions: readGlobalConditions() });
    }
  });
}
part("stop").addEventListener("click", () => {
  worker.postMessage({ type: "stop" });
  silence();
  showStatus();
});
document.addEventListener("click", () => run?.player?.heldBack && run.player.resume());

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
