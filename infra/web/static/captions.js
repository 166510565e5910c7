// Captions of a live programme, for who plays it over LL-HLS: a button that shows and hides them.
// They come some 15 s after the words, so at the live edge there are none to show yet.

export class Captions {
  #button = document.getElementById("captions");
  #hls;
  #wanted = false;

  /** `hls` gives the hls.js instance that plays now, or null. */
  constructor(hls) {
    this.#hls = hls;
    this.#button.addEventListener("click", () => this.toggle());
  }

  /** For the button and its key. */
  toggle() {
    if (this.#button.hidden) return;
    this.#wanted = !this.#wanted;
    this.render();
  }

  /** Whatever plays by now shows them if they are wanted. */
  render() {
    const hls = this.#hls();
    this.#button.hidden = !hls?.subtitleTracks.length;
    if (this.#button.hidden) return;
    this.#button.setAttribute("aria-pressed", String(this.#wanted));
    const track = this.#wanted ? 0 : -1;
    if (hls.subtitleTrack === track) return;
    hls.subtitleDisplay = this.#wanted;
    hls.subtitleTrack = track;
  }
}
