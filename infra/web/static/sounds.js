// The choice of a sound where the programme has several: languages, or a commentary. LL-HLS only:
// WebRTC carries the first, and Safari's own player has no such list.

export class Sounds {
  #select = document.getElementById("sound");
  #read;
  #wanted = null;
  #listed = "";

  /** `read` returns the hls.js instance that plays, or null. */
  constructor(read) {
    this.#read = read;
    this.#select.addEventListener("change", () => {
      this.#wanted = this.#select.value;
      this.render();
    });
  }

  render() {
    const hls = this.#read();
    const names = (hls?.audioTracks ?? []).map((track) => track.name);
    this.#select.hidden = names.length < 2;
    if (this.#select.hidden) return;
    this.#list(names);
    // A player that had to begin again begins with the default.
    const wanted = names.indexOf(this.#wanted);
    if (wanted >= 0 && hls.audioTrack !== wanted) hls.audioTrack = wanted;
    if (hls.audioTrack >= 0) this.#select.value = names[hls.audioTrack];
  }

  #list(names) {
    const listed = JSON.stringify(names);
    if (listed === this.#listed) return;
    this.#listed = listed;
    this.#select.replaceChildren(...names.map((name) => new Option(name, name)));
  }
}
