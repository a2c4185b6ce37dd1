// Passes the microphone's samples on, the mean of its channels, in blocks of 50 ms.

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(Math.round(sampleRate / 20));
    this.filled = 0;
  }

  process([channels]) {
    for (let time = 0; time < (channels[0]?.length ?? 0); time++) {
      const sum = channels.reduce((total, channel) => total + channel[time], 0);
      this.block[this.filled] = sum / channels.length;
      this.filled += 1;
      if (this.filled === this.block.length) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
