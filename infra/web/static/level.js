// How loud a stream is: root mean square of the last moment, in dB below full scale.

export class LevelMeter {
  #context = null;
  #analyser = null;
  #source = null;
  #samples = null;

  /** Listen to `stream`; null or a stream without sound: to nothing. */
  listen(stream) {
    this.#source?.disconnect();
    this.#source = null;
    if (!stream?.getAudioTracks().length) return;
    this.#context ??= new AudioContext();
    this.#context.resume().catch(() => {}); // without a gesture it starts with the next one
    this.#analyser ??= this.#context.createAnalyser();
    this.#samples ??= new Float32Array(this.#analyser.fftSize);
    this.#source = this.#context.createMediaStreamSource(stream);
    this.#source.connect(this.#analyser);
  }

  /** dBFS, -100 for silence, null when there is no sound to listen to. */
  read() {
    if (!this.#source) return null;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    let sum = 0;
    for (const sample of this.#samples) sum += sample * sample;
    const level = Math.sqrt(sum / this.#samples.length);
    return level > 1e-5 ? 20 * Math.log10(level) : -100;
  }
}
