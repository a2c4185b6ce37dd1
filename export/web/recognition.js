// The page's part for models that recognize: a recording or the microphone in, classes out.

import { decodeFile, Microphone } from "./audio_input.js";
import { ClassReader } from "./classes.js";

const SHOWN_CLASSES = 10;
const SHOWN_SEGMENTS = 50;
const PIECE_SECONDS = 0.5; // of a file, after which results are shown

export class Recognition {
  /** @param {object} page functions of the page: part, show, number and fail. */
  constructor({ part, show, number, fail }) {
    Object.assign(this, { part, show, number, fail });
    this.run = 0; // number of the run: answers of a former one come too late
    part("recording").addEventListener("change", ({ target }) => {
      const [file] = target.files;
      if (file) {
        this.recognizeFile(file);
      }
    });
    part("listen").addEventListener("click", () => this.listen());
    part("halt").addEventListener("click", () => this.halt());
  }

  /** Takes a new model; returns what handles the worker's messages. */
  use(worker, metadata) {
    this.worker = worker;
    this.metadata = metadata;
    return { recognized: (answer) => this.recognized(answer) };
  }

  /** Ends what a former model did. */
  leave() {
    this.stop();
    this.worker = null;
    this.part("recognition").disabled = true;
    this.part("classes").replaceChildren();
    this.show("segments", "");
    this.show("recognized", "-");
  }

  /** Ends a run; its answers count no more. */
  stop() {
    this.run += 1;
    this.microphone?.close();
    this.microphone = null;
    this.part("listen").disabled = false;
    this.part("halt").disabled = true;
  }

  start() {
    this.stop();
    this.reader = new ClassReader(this.metadata);
    this.part("classes").replaceChildren();
    for (const words of ["segments", "problem", "status"]) {
      this.show(words, "");
    }
    this.worker.postMessage({ type: "start" });
    return this.run;
  }

  async recognizeFile(file) {
    const run = this.start();
    const { sample_rate: rate } = this.metadata;
    let audio;
    try {
      audio = await decodeFile(await file.arrayBuffer(), rate);
    } catch (error) {
      if (run === this.run) {
        this.fail(`cannot read ${file.name} as audio: ${error.message}`);
      }
      return;
    }
    if (run !== this.run) {
      return;
    }
    const piece = Math.ceil(PIECE_SECONDS * rate);
    for (let first = 0; first < audio.length; first += piece) {
      this.send(run, audio.slice(first, first + piece));
    }
    this.worker.postMessage({ type: "end", run });
  }

  async listen() {
    const run = this.start();
    this.part("listen").disabled = true;
    let microphone;
    try {
      microphone = await Microphone.open(
        this.metadata.sample_rate,
        (samples) => run === this.run && this.microphone && this.send(run, samples),
      );
    } catch (error) {
      if (run === this.run) {
        this.fail(`cannot use the microphone: ${error.message}`);
      }
      return;
    }
    if (run !== this.run) {
      microphone.close();
      return;
    }
    this.microphone = microphone;
    this.part("halt").disabled = false;
    this.show("status", "Recording.");
  }

  /** Ends the recording; the rest of it is still recognized. */
  halt() {
    this.microphone.close();
    this.microphone = null;
    this.part("halt").disabled = true;
    this.worker.postMessage({ type: "end", run: this.run });
  }

  send(run, audio) {
    this.worker.postMessage({ type: "audio", run, audio }, [audio.buffer]);
  }

  recognized({ run, rows, factor, over }) {
    if (run !== this.run) {
      return;
    }
    this.reader.add(rows);
    this.showClasses();
    const seconds = this.reader.frames * this.reader.frameSeconds;
    this.show("recognized", `${this.number(seconds, 2)} s`);
    this.show("factor", this.number(factor, 2));
    if (over) {
      const chosen = this.reader.perFrame ? [] : this.reader.chosen();
      this.show("status", chosen.length ? `Done: ${chosen.join(", ")}.` : "Done.");
      this.part("listen").disabled = false;
    }
  }

  showClasses() {
    const items = this.reader.classes().slice(0, SHOWN_CLASSES).map(({ name, probability }) => {
      const item = document.createElement("li");
      const label = document.createElement("span");
      label.textContent = name;
      const bar = document.createElement("meter");
      bar.value = probability;
      const figure = document.createElement("span");
      figure.textContent = this.number(probability, 4);
      item.append(label, bar, figure);
      return item;
    });
    this.part("classes").replaceChildren(...items);
    const spans = this.reader.spans().slice(-SHOWN_SEGMENTS);
    const words = spans.map(({ label, start, end }) => {
      return `${this.number(start, 2)}-${this.number(end, 2)} ${label}`;
    });
    this.show("segments", words.join(", "));
  }
}
