// Classes or segments from the logits of frames, as wavenet_tf/recognition/results.py finds them.

const TAG_THRESHOLD = 0.5; // probability from which a tag counts as true

/** Reads the logits of frames as they come. */
export class ClassReader {
  /** @param {object} metadata of the model. */
  constructor({ targets, class_names, num_classes, frame_length, sample_rate }) {
    this.perFrame = targets === "frames" || targets === "sequence";
    this.tags = targets === "tags";
    const names = class_names ?? Array.from({ length: num_classes }, (_, index) => `${index}`);
    this.names = targets === "sequence" ? ["", ...names] : names;
    this.frameSeconds = frame_length / sample_rate;
    this.frames = 0;
    this.sums = new Float64Array(this.names.length);
    this.segments = []; // of which the last one may go on
  }

  /** @param {Float32Array[]} rows the logits of each frame. */
  add(rows) {
    for (const row of rows) {
      row.forEach((value, index) => {
        this.sums[index] += value;
      });
      if (this.perFrame) {
        this.addFrame(softmax(row));
      }
      this.frames += 1;
    }
  }

  addFrame(probabilities) {
    const label = probabilities.indexOf(Math.max(...probabilities));
    const last = this.segments.at(-1);
    if (last?.label === label) {
      last.end = this.frames + 1;
      last.sum += probabilities[label];
    } else {
      const sum = probabilities[label];
      this.segments.push({ label, start: this.frames, end: this.frames + 1, sum });
    }
    this.latest = probabilities;
  }

  /** Name and probability of each class, the likeliest first: of the audio so far, or now. */
  classes() {
    if (!this.frames) {
      return [];
    }
    const means = Array.from(this.sums, (sum) => sum / this.frames);
    const ofClip = this.tags ? means.map((value) => 1 / (1 + Math.exp(-value))) : softmax(means);
    const probabilities = this.perFrame ? this.latest : ofClip;
    return this.names
      .map((name, index) => ({ name, probability: probabilities[index] }))
      .filter(({ name }) => name)
      .sort((a, b) => b.probability - a.probability);
  }

  /** The classes that the audio so far has: the likeliest one, or all true tags. */
  chosen() {
    const classes = this.classes();
    const all = this.tags ? classes.filter((one) => one.probability >= TAG_THRESHOLD) : classes;
    return (this.tags ? all : all.slice(0, 1)).map(({ name }) => name);
  }

  /** Start and end in seconds, label and mean probability of the segments so far. */
  spans() {
    return this.segments
      .filter(({ label }) => this.names[label])
      .map(({ label, start, end, sum }) => ({
        label: this.names[label],
        start: start * this.frameSeconds,
        end: end * this.frameSeconds,
        probability: sum / (end - start),
      }));
  }
}

function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = Array.from(logits, (value) => Math.exp(value - highest));
  const total = powers.reduce((sum, value) => sum + value, 0);
  return powers.map((value) => value / total);
}
