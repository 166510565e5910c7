// Plays `?url=` in `?player=` and keeps a record of it in `window.record`.

import { players } from "./players.js";
import { Recorder } from "./recorder.js";

const query = new URLSearchParams(location.search);
const video = document.getElementById("video");
const recorder = new Recorder(video);
window.record = recorder.record;
// The player goes by an event's end or a lost publisher as it thinks right; what it says is kept.
const player = await players[query.get("player")](video, query.get("url"), recorder);
recorder.start(player);
