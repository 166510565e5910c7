// Going back in an event that allows it: a step back, and a bar over what can still be seen.
// The bar's values are seconds behind live, so its right end is live and stays so.

const STEP_S = 30;

export class Rewind {
  #back = document.getElementById("back");
  #bar = document.getElementById("seek");
  #playback;
  #held = false;

  constructor(playback) {
    this.#playback = playback;
    this.#back.addEventListener("click", () => this.step());
    this.#bar.addEventListener("input", () => {
      this.#held = true;
      this.#say(-this.#bar.value);
    });
    this.#bar.addEventListener("change", () => {
      this.#held = false;
      this.#go(-this.#bar.value);
    });
  }

  /** A step further back, for the button and its key. */
  step() {
    if (!this.#back.hidden) this.#go(this.#playback.behind + STEP_S);
  }

  /** `allowed`: the event has a window, and is on the air. */
  render(allowed) {
    this.#playback.mayStay = allowed;
    this.#back.hidden = !allowed || !this.#playback.canGoBack;
    const reach = Math.floor(this.#playback.reach);
    this.#bar.hidden = this.#back.hidden || reach < STEP_S;
    if (this.#bar.hidden || this.#held) return;
    const behind = Math.round(this.#playback.behind);
    this.#bar.min = -reach;
    this.#bar.value = -behind;
    this.#say(behind);
  }

  #go(behind) {
    if (behind > 0) this.#playback.goBack(behind);
    else this.#playback.goLive();
  }

  #say(behind) {
    const minutes = Math.floor(behind / 60);
    const seconds = Math.round(behind % 60);
    const words = minutes ? `${minutes} min ${seconds} s` : `${seconds} s`;
    this.#bar.setAttribute("aria-valuetext", behind > 0 ? `${words} behind live` : "live");
  }
}
