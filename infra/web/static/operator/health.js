// How an event does, in words, and what wants a person's attention. Pure: `now` is an argument.
// Levels: "bad" (viewers or the recording suffer), "warn" (they may soon), "good", "idle".

import { bitrate, count, milliseconds, share, span } from "./words.js";

const OLD_MS = 20_000; // four readings
const RECENT_MS = 120_000;
const SOON_MS = 10 * 60_000;
const LOST_BAD = 0.01;
const LOST_WARN = 0.001;
const RESENT_WARN = 0.05;
const NARROW_LATENCY = 3;
const FEW_FPS = 10;
// Warnings of the media node about what a reading says as it is now.
const MEASURED = new Set(["latency", "loss", "stalled"]);
const ORDER = { bad: 0, warn: 1, good: 2, idle: 3 };

export const onAir = (state) => state === "live" || state === "reconnecting";
const open = (state) => onAir(state) || state === "scheduled" || state === "lobby";

/** The publisher that viewers see, in a reading. */
export function activeSource(reading) {
  return reading?.sources.find((source) => source.on_air) ?? null;
}

/** `{ level, findings }`: `[level, words]` of all that is to be said, the worst first; and the worst level. */
export function healthOf(event, now) {
  const found = onAir(event.state) ? liveFindings(event, now) : waitingFindings(event, now);
  if (event.recording_degraded) found.push(["bad", "A part of the recording is lost."]);
  if (open(event.state)) found.push(...noticeFindings(event, now));
  const findings = [...new Map(found.map((one) => [one[1], one])).values()].sort(([a], [b]) => ORDER[a] - ORDER[b]);
  return { level: findings[0]?.[0] ?? "idle", findings };
}

function liveFindings(event, now) {
  if (event.state === "reconnecting") return [["bad", "The encoder is gone: viewers see its last picture."]];
  const { reading } = event;
  const age = reading ? now - Date.parse(reading.at) : now - Date.parse(event.started_at ?? now);
  if (age > OLD_MS) return [["warn", `No figures from the media node for ${span(age)}.`]];
  const source = activeSource(reading);
  if (!source) return reading ? [["bad", "No encoder is on the air."]] : [["good", "Just begun."]];
  const found = [...networkFindings(source), ...pictureFindings(source)];
  const standby = reading.sources.find((one) => !one.on_air);
  if (standby?.silent) found.push(["warn", "The encoder that stands by sends nothing."]);
  if (!found.length) found.push(["good", goodWords(source)]);
  return found;
}

function goodWords(source) {
  const fps = source.fps ? `, ${Math.round(source.fps)} pictures a second` : "";
  return `${bitrate(source.kbps)}${fps}, ${source.lost > 0 ? `${share(source.lost)} lost` : "nothing lost"}.`;
}

function* networkFindings(source) {
  if (source.silent) yield ["bad", "The encoder is connected and sends nothing."];
  if (source.lost >= LOST_BAD) yield ["bad", `${share(source.lost)} of the packets never arrive: use a wired network, lower the bitrate, or raise the SRT latency.`];
  else if (source.lost >= LOST_WARN) yield ["warn", `${share(source.lost)} of the packets never arrive.`];
  if (source.resent >= RESENT_WARN) yield ["warn", `${share(source.resent)} of the packets are sent again: the network is near its limit.`];
  if (source.latency_ms && source.rtt_ms * NARROW_LATENCY > source.latency_ms) {
    yield ["warn", `The round trip takes ${milliseconds(source.rtt_ms)} of an SRT latency of ${source.latency_ms} ms: raise it to ${milliseconds(source.rtt_ms * 4)}.`];
  }
}

function* pictureFindings(source) {
  if (source.silent) return;
  if (source.damaged > 0) yield ["warn", `${count(source.damaged, "picture")} came with holes.`];
  if (source.fps !== null && source.fps > 0 && source.fps < FEW_FPS) yield ["warn", `Only ${source.fps.toFixed(1)} pictures a second arrive.`];
}

function waitingFindings(event, now) {
  if (event.state !== "scheduled" && event.state !== "lobby") return [];
  if (event.primary.connected || event.backup.connected) return [["good", "An encoder is connected."]];
  if (!event.starts_at) return [];
  const left = Date.parse(event.starts_at) - now;
  if (left < 0) return [["bad", `It should have begun ${span(-left)} ago, and no encoder is connected.`]];
  return left < SOON_MS ? [["warn", `It begins in ${span(left)}, and no encoder is connected.`]] : [];
}

function noticeFindings(event, now) {
  const measured = Boolean(activeSource(event.reading));
  const fresh = (event.recent ?? []).filter((notice) => now - Date.parse(notice.at) < RECENT_MS);
  // Newest first: of each kind that one.
  const kinds = new Set();
  return fresh
    .filter(({ detail }) => !(measured && MEASURED.has(detail?.code)))
    .filter(({ type, detail, message }) => {
      const kind = `${type} ${detail?.code ?? detail?.reason ?? message}`;
      return !kinds.has(kind) && kinds.add(kind);
    })
    .filter(({ type }) => type === "ingest.warning" || type === "publisher.refused" || type === "standby.lost")
    .map(({ message }) => ["warn", message.charAt(0).toUpperCase() + message.slice(1)]);
}

/** What wants a person: `{ key, level, title, words, href }`, the worst first. */
export function attention(overview, now) {
  const found = [];
  for (const event of overview.events.items) {
    const { level, findings } = healthOf(event, now);
    if (ORDER[level] > ORDER.warn || !open(event.state)) continue;
    found.push({ key: event.id, level, title: event.name, words: findings[0][1], href: `#/events/${event.id}` });
  }
  const dead = overview.jobs?.counts.find(({ state }) => state === "dead")?.count ?? 0;
  if (dead) found.push({ key: "jobs", level: "warn", title: "Jobs", words: `${count(dead, "job")} gave up.`, href: "#/jobs" });
  for (const { webhook, failed } of overview.webhooks ?? []) {
    const said = webhookFinding(webhook, failed, now);
    if (said) found.push({ key: webhook.id, level: said[0], title: webhook.description || webhook.url, words: said[1], href: "#/webhooks" });
  }
  return found.sort((a, b) => ORDER[a.level] - ORDER[b.level]);
}

/** `[level, words]`, or null when all is well. */
export function webhookFinding(webhook, failed, now) {
  if (webhook.disabled_reason) return ["bad", `Disabled by itself: ${webhook.disabled_reason}`];
  if (!webhook.enabled) return null;
  if (webhook.failing_since) return ["warn", `Has failed for ${span(now - Date.parse(webhook.failing_since))}.`];
  return failed ? ["warn", `${count(failed, "delivery", "deliveries")} given up within a day.`] : null;
}
