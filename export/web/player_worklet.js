// Plays the blocks that come, and waits where they come too slowly.

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.blocks = [];
    this.position = 0; // in the first block
    this.queued = 0;
    this.played = 0;
    this.reported = 0;
    this.gaps = 0;
    this.waiting = true;
    this.ended = false;
    this.port.onmessage = ({ data }) => {
      if (data === "end") {
        this.ended = true;
      } else {
        this.blocks.push(data);
        this.queued += data.length;
      }
    };
  }

  process(_, [[output]]) {
    // A little at first, more after each gap, so that slow models are played in pieces.
    const enough = sampleRate * (this.gaps ? 1 : 0.1);
    if (this.waiting && (this.ended || this.queued >= enough)) {
      this.waiting = false;
    }
    let filled = 0;
    while (!this.waiting && filled < output.length && this.blocks.length) {
      const [block] = this.blocks;
      const part = block.subarray(this.position, this.position + output.length - filled);
      output.set(part, filled);
      filled += part.length;
      this.position += part.length;
      if (this.position === block.length) {
        this.blocks.shift();
        this.position = 0;
      }
    }
    this.queued -= filled;
    this.played += filled;
    const over = this.ended && !this.queued;
    if (!this.queued && !over && !this.waiting) {
      this.waiting = true;
      this.gaps += 1;
    }
    if (over || this.played - this.reported > sampleRate / 10) {
      this.reported = this.played;
      this.port.postMessage({ played: this.played, gaps: this.gaps, over });
    }
    return !over;
  }
}

registerProcessor("player", Player);
