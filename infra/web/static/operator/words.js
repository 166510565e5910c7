// What the operator page says about numbers, times and states. Pure.

const STATES = {
  draft: "Draft",
  scheduled: "Scheduled",
  lobby: "Lobby open",
  live: "Live",
  reconnecting: "Reconnecting",
  ended: "Ended",
  archived: "Archived",
  cancelled: "Cancelled",
};
const JOBS = { queued: "Waiting", leased: "Starting", running: "Running", retrying: "Tries again", succeeded: "Done", failed: "Failed", dead: "Gave up", cancelled: "Cancelled" };
const DELIVERIES = { pending: "On its way", delivered: "Delivered", failed: "Given up" };
const STAGES = {
  demuxed: ["Taken apart", "out of the encoder's stream"],
  published: ["In the programme", "ready for everything that follows"],
  sent: ["Sent by WebRTC", "on its way to WHEP viewers"],
  packaged: ["Packaged for LL-HLS", "in a part that players can fetch"],
  uploaded: ["Stored", "acknowledged by the object store"],
};
const PLACES = { primary: "Primary", backup: "Backup" };
const PROTOCOLS = { srt: "SRT", whip: "WHIP" };

export const stateWord = (state) => STATES[state] ?? state;
export const jobWord = (state) => JOBS[state] ?? state;
export const deliveryWord = (state) => DELIVERIES[state] ?? state;
export const stageWords = (stage) => STAGES[stage] ?? [stage, ""];
export const placeWord = (role) => PLACES[role] ?? role;
export const protocolWord = (protocol) => PROTOCOLS[protocol] ?? protocol;

export function bitrate(kbps) {
  return kbps >= 999.5 ? `${(kbps / 1000).toFixed(kbps >= 99_950 ? 0 : 1)} Mbit/s` : `${Math.round(kbps)} kbit/s`;
}

/** A share of packets. */
export function share(part) {
  if (part <= 0) return "none";
  if (part < 0.001) return "under 0.1 %";
  return `${(part * 100).toFixed(part < 0.1 ? 1 : 0)} %`;
}

export function milliseconds(ms) {
  if (ms >= 9950) return `${Math.round(ms / 1000)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 9.95 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  while (count >= 999.5 && place < units.length - 1) {
    count /= 1000;
    place += 1;
  }
  return `${count.toFixed(place && count < 9.95 ? 1 : 0)} ${units[place]}`;
}

/** A length of time as a person would say it. */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.round(hours / 24)} days`;
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** What a job took, as the ledger kept it: `[word, value]`. */
export function costRows(cost) {
  const rows = [
    ["Time", cost.wall_ms, milliseconds],
    ["CPU", cost.cpu_ms, milliseconds],
    ["Read", cost.bytes_in, bytes],
    ["Written", cost.bytes_out, bytes],
  ];
  return rows.filter(([, value]) => Number.isFinite(value)).map(([word, value, say]) => [word, say(value)]);
}

/** Local time of an RFC 3339 time; with its date where that is another day than `now`. */
export function clock(time, now = Date.now()) {
  if (!time) return "";
  const moment = new Date(time);
  const sameDay = moment.toDateString() === new Date(now).toDateString();
  return moment.toLocaleString([], sameDay ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
}
