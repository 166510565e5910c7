// What an operator may do with an event, by its state and by what the API key may do.

import { ask } from "./ask.js";

const LINK_S = 3600;
const open = ["scheduled", "lobby", "live", "reconnecting"];

/** `[{ word, run | href, danger }]`. `full`: the event of `GET /v1/events/{id}`; null: not read yet. */
export function actionsFor({ event, full, desk, notices, changed }) {
  const path = `/v1/events/${encodeURIComponent(event.id)}`;
  const found = [];
  const act = (word, run, danger = false) => found.push({ word, run, danger });
  if (full) found.push({ word: open.includes(event.state) ? "Open the watch page" : "Open the recording", href: open.includes(event.state) ? full.playback.player_url : full.playback.vod_url });
  if (event.access === "token" && desk.may("tokens:write") && event.state !== "cancelled") {
    act("Copy a viewer's link", async () => {
      const { player_url: link } = await desk.api.post(`${path}/tokens`, { ttl_s: LINK_S });
      await copyLink(link, notices);
    });
  }
  if (!desk.may("events:write")) return found;
  const post = async (name, body, said) => {
    await desk.api.post(`${path}/${name}`, body);
    notices.tell(said);
    await changed();
    desk.refreshSoon();
  };
  if (event.state === "draft") act("Schedule it", () => post("schedule", undefined, "The event is scheduled."));
  if ([...open, "draft"].includes(event.state)) {
    act("Replace the stream key", async () => {
      const how = await ask({
        title: "Replace the stream key?",
        text: "Encoders that connect from now on need the new addresses. Copy them here afterwards.",
        action: "Replace it",
        choices: [
          { value: "stay", text: "Let encoders that are connected stay: viewers see no cut" },
          { value: "go", text: "Disconnect everybody who has the old key" },
        ],
      });
      if (how) await post("rotate-key", { disconnect: how === "go" }, "The event has a new stream key.");
    });
  }
  if (event.state === "live" || event.state === "reconnecting") {
    act("End the event", async () => {
      const sure = await ask({ title: `End “${event.name}”?`, text: "Encoders are disconnected, viewers see the end, and the recording is made. An event cannot go on after its end.", action: "End it" });
      if (sure) await post("end", undefined, "The event is over.");
    }, true);
  }
  if (["draft", "scheduled", "lobby"].includes(event.state)) {
    act("Cancel the event", async () => {
      const sure = await ask({ title: `Cancel “${event.name}”?`, text: "Encoders are refused from then on. It cannot be scheduled again.", action: "Cancel the event" });
      if (!sure) return;
      await desk.api.delete(path);
      notices.tell("The event is cancelled.");
      await changed();
      desk.refreshSoon();
    }, true);
  }
  return found;
}

async function copyLink(link, notices) {
  try {
    await navigator.clipboard.writeText(link);
    notices.tell("A viewer's link that is good for an hour was copied.");
  } catch {
    notices.tell(`A viewer's link that is good for an hour: ${link}`);
  }
}
