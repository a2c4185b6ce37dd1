// Audio of files and of the microphone, as one channel at a model's rate: browsers resample it.

/**
 * The samples of a file.
 *
 * @param {ArrayBuffer} bytes of the file.
 * @param {number} rate of the model, in Hz.
 * @returns {Promise<Float32Array>} the mean of its channels.
 */
export async function decodeFile(bytes, rate) {
  const decoded = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  const channels = Array.from({ length: decoded.numberOfChannels }, (_, index) =>
    decoded.getChannelData(index),
  );
  return Float32Array.from(channels[0], (_, time) =>
    channels.reduce((sum, channel) => sum + channel[time], 0) / channels.length,
  );
}

/** The microphone, until it is closed. */
export class Microphone {
  /**
   * @param {number} rate of the model, in Hz.
   * @param {(samples: Float32Array) => void} onSamples gets blocks as they come.
   */
  static async open(rate, onSamples) {
    const stream = await navigator.mediaDevices.getUserMedia({
      // Models are trained on audio as it was recorded.
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    const context = new AudioContext({ sampleRate: rate });
    const microphone = new Microphone(stream, context);
    try {
      await context.audioWorklet.addModule(new URL("./recorder_worklet.js", import.meta.url));
      const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
      node.port.onmessage = ({ data }) => onSamples(data);
      context.createMediaStreamSource(stream).connect(node);
      await context.resume();
    } catch (error) {
      microphone.close();
      throw error;
    }
    return microphone;
  }

  constructor(stream, context) {
    this.stream = stream;
    this.context = context;
  }

  /** For good; it may be called again. */
  close() {
    this.stream.getTracks().forEach((track) => track.stop());
    this.closed ??= this.context.close();
  }
}
