// What an operator may do with an event, by its state and by what the API key may do.

import { ask } from "./ask.js";

const LINK_S = 3600;
const WAITING = ["scheduled", "lobby"];
const ON_AIR = ["live", "reconnecting"];

/** `[{ word, run | href, danger }]`. `full`: the event of `GET /v1/events/{id}`; null: not read yet. */
export function actionsFor({ event, full, desk, notices, changed }) {
  const doing = new Doing(event, desk, notices, changed);
  const open = [...WAITING, ...ON_AIR].includes(event.state);
  const writing = desk.may("events:write");
  const linked = event.access === "token" && event.state !== "cancelled" && desk.may("tokens:write");
  const found = [
    full && { word: open ? "Open the watch page" : "Open the recording", href: open ? full.playback.player_url : full.playback.vod_url },
    linked && { word: "Copy a viewer's link", run: () => doing.copyLink() },
    writing && event.state === "draft" && { word: "Schedule it", run: () => doing.post("schedule", undefined, "The event is scheduled.") },
    writing && (open || event.state === "draft") && { word: "Replace the stream key", run: () => doing.replaceKey() },
    writing && ON_AIR.includes(event.state) && { word: "End the event", run: () => doing.end(), danger: true },
    writing && [...WAITING, "draft"].includes(event.state) && { word: "Cancel the event", run: () => doing.cancel(), danger: true },
  ];
  return found.filter(Boolean);
}

class Doing {
  #event;
  #desk;
  #notices;
  #changed;

  constructor(event, desk, notices, changed) {
    this.#event = event;
    this.#desk = desk;
    this.#notices = notices;
    this.#changed = changed;
  }

  get #path() {
    return `/v1/events/${encodeURIComponent(this.#event.id)}`;
  }

  async #done(said) {
    this.#notices.tell(said);
    await this.#changed();
    this.#desk.refreshSoon();
  }

  async post(name, body, said) {
    await this.#desk.api.post(`${this.#path}/${name}`, body);
    await this.#done(said);
  }

  async replaceKey() {
    const how = await ask({
      title: "Replace the stream key?",
      text: "Encoders that connect from now on need the new addresses. Copy them here afterwards.",
      action: "Replace it",
      choices: [
        { value: "stay", text: "Let encoders that are connected stay: viewers see no cut" },
        { value: "go", text: "Disconnect everybody who has the old key" },
      ],
    });
    if (how) await this.post("rotate-key", { disconnect: how === "go" }, "The event has a new stream key.");
  }

  async end() {
    const sure = await ask({
      title: `End “${this.#event.name}”?`,
      text: "Encoders are disconnected, viewers see the end, and the recording is made. An event cannot go on after its end.",
      action: "End it",
    });
    if (sure) await this.post("end", undefined, "The event is over.");
  }

  async cancel() {
    const sure = await ask({
      title: `Cancel “${this.#event.name}”?`,
      text: "Encoders are refused from then on. It cannot be scheduled again.",
      action: "Cancel the event",
    });
    if (!sure) return;
    await this.#desk.api.delete(this.#path);
    await this.#done("The event is cancelled.");
  }

  async copyLink() {
    const { player_url: link } = await this.#desk.api.post(`${this.#path}/tokens`, { ttl_s: LINK_S });
    try {
      await navigator.clipboard.writeText(link);
      this.#notices.tell("A viewer's link that is good for an hour was copied.");
    } catch {
      this.#notices.tell(`A viewer's link that is good for an hour: ${link}`);
    }
  }
}
