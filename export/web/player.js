// The page's side of the audio: a queue of blocks, played at the model's sample rate.

export class Player {
  /**
   * @param {number} sampleRate
   * @param {(progress: {played: number, gaps: number, over: boolean}) => void} onProgress
   */
  static async create(sampleRate, onProgress) {
    const context = new AudioContext({ sampleRate });
    await context.audioWorklet.addModule(new URL("./player_worklet.js", import.meta.url));
    const node = new AudioWorkletNode(context, "player", {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    node.port.onmessage = ({ data }) => onProgress(data);
    node.connect(context.destination);
    return new Player(context, node);
  }

  constructor(context, node) {
    this.context = context;
    this.node = node;
  }

  /** Browsers hold audio back until the page was clicked. */
  get heldBack() {
    return !this.closed && this.context.state === "suspended";
  }

  resume() {
    return this.context.resume();
  }

  play(audio) {
    this.node.port.postMessage(audio, [audio.buffer]);
  }

  end() {
    this.node.port.postMessage("end");
  }

  /** For good; it may be called again. */
  close() {
    this.closed ??= this.context.close();
  }
}
