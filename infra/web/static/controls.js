// Buttons, keys and the idle state of the stage. Knows the <video>, not where its media come from.

const IDLE_MS = 2600;

export class Controls {
  #video;
  #stage;
  #idleTimer = 0;

  /** `actions` is {play, keys, goLive}: `keys` by their lower-case names, `goLive` where there is a badge. */
  constructor(stage, video, actions) {
    this.#stage = stage;
    this.#video = video;
    const find = (id) => document.getElementById(id);
    this.playButton = find("play");
    this.muteButton = find("mute");
    this.volume = find("volume");
    this.unmute = find("unmute");
    this.full = find("fullscreen");
    this.actions = actions;

    this.playButton.addEventListener("click", () => this.togglePlay());
    this.muteButton.addEventListener("click", () => this.toggleMute());
    this.unmute.addEventListener("click", () => this.toggleMute());
    this.full.addEventListener("click", () => this.toggleFull());
    find("badge")?.addEventListener("click", () => actions.goLive());
    video.addEventListener("click", () => this.togglePlay());
    this.volume.addEventListener("input", () => {
      video.volume = Number(this.volume.value);
      video.muted = video.volume === 0;
    });
    for (const name of ["play", "pause", "volumechange", "emptied"]) {
      video.addEventListener(name, () => this.render());
    }
    document.addEventListener("fullscreenchange", () => this.render());
    document.addEventListener("keydown", (event) => this.#key(event));
    for (const name of ["pointermove", "pointerdown", "keydown", "focusin"]) {
      stage.addEventListener(name, () => this.#awake());
    }
    this.render();
    this.#awake();
  }

  togglePlay() {
    if (this.#video.paused) this.actions.play();
    else this.#video.pause();
  }

  toggleMute() {
    this.#video.muted = !this.#video.muted;
    if (!this.#video.muted && this.#video.volume === 0) this.#video.volume = 1;
  }

  async toggleFull() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else if (this.#stage.requestFullscreen) await this.#stage.requestFullscreen();
    else this.#video.webkitEnterFullscreen?.(); // iPhone: only the video itself can go full screen
  }

  render() {
    const video = this.#video;
    const playing = !video.paused;
    const full = Boolean(document.fullscreenElement);
    Object.assign(this.#stage.dataset, { playing, muted: video.muted, full });
    this.playButton.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.muteButton.setAttribute("aria-label", video.muted ? "Sound on" : "Mute");
    this.full.setAttribute("aria-label", full ? "Leave full screen" : "Full screen");
    this.volume.value = video.muted ? 0 : video.volume;
    this.unmute.hidden = !(video.muted && playing);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
    const actions = {
      k: () => this.togglePlay(),
      m: () => this.toggleMute(),
      f: () => this.toggleFull(),
      ...this.actions.keys,
    };
    // The space bar presses a focused button; elsewhere it plays and pauses.
    if (!event.target.closest("button, a")) actions[" "] = actions.k;
    const action = actions[event.key.toLowerCase()];
    if (!action) return;
    event.preventDefault();
    action();
  }

  #awake() {
    this.#stage.dataset.idle = "false";
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      if (!this.#video.paused) this.#stage.dataset.idle = "true";
    }, IDLE_MS);
  }
}
