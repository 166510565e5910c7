// One WHEP session: a peer connection that receives, and the server's control channel (SSE).

import { Exchange, onNetworkChange } from "./exchange.js";

const PATIENCE_MS = 1500;
const FIRST_FRAME_MS = 5000;
const POLL_MS = 40;
// After these the session is over, and so is its channel.
const FINAL = ["fallback", "revoked", "ended"];
// 1900 (NTP) to 1970 (Unix).
const NTP_TO_UNIX_MS = 2_208_988_800_000;

/**
 * Events: "lost" (it will not come back), "control" ({type, detail}: what the server asks for),
 * "marker" (one of the event's markers; it may come before the first picture, and again),
 * "rendition" (`rendition` has changed).
 * Invariant: after `close` no event is dispatched.
 */
export class WhepSession extends EventTarget {
  stream = new MediaStream();
  /** What the server has moved this viewer to, and why: {rendition, reason}; null: nothing yet. */
  rendition = null;
  #exchange;
  #events = null;
  #offNetwork = () => {};
  #timer = 0;
  #closed = false;

  constructor(url) {
    super();
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    for (const kind of ["video", "audio"]) this.pc.addTransceiver(kind, { direction: "recvonly" });
    this.pc.addEventListener("track", ({ track }) => this.stream.addTrack(track));
    this.#exchange = new Exchange(this.pc, url);
  }

  /** Connected, with a first frame decoded; raises `ExchangeError`. */
  async open() {
    try {
      await this.#exchange.open();
      if (this.#closed) return;
      this.#listen();
      await this.#firstFrame();
    } catch (error) {
      this.close();
      throw error;
    }
    this.pc.addEventListener("connectionstatechange", () => this.#watch());
    this.#offNetwork = onNetworkChange(() => this.#restart());
    this.#watch();
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#offNetwork();
    this.#events?.close();
    this.#exchange.close();
  }

  /** What the browser measures, or null when it measures nothing now. */
  async stats() {
    if (this.#closed) return null;
    const report = await this.pc.getStats();
    const all = [...report.values()];
    const video = all.find((x) => x.type === "inbound-rtp" && x.kind === "video");
    if (!video) return null;
    const audio = all.find((x) => x.type === "inbound-rtp" && x.kind === "audio");
    const transport = all.find((x) => x.type === "transport");
    const pair = report.get(transport?.selectedCandidatePairId) ?? all.find((x) => x.type === "candidate-pair" && x.nominated);
    const local = report.get(pair?.localCandidateId);
    return {
      at: video.timestamp,
      path: local?.candidateType === "relay" ? `relay/${local.relayProtocol ?? local.protocol}` : local?.protocol,
      roundTripS: pair?.currentRoundTripTime,
      bytes: (video.bytesReceived ?? 0) + (audio?.bytesReceived ?? 0),
      packets: video.packetsReceived,
      lost: Math.max(0, video.packetsLost ?? 0),
      retransmitted: video.retransmittedPacketsReceived,
      jitterS: video.jitter,
      decoded: video.framesDecoded ?? 0,
      dropped: video.framesDropped ?? 0,
      fps: video.framesPerSecond,
      width: video.frameWidth,
      height: video.frameHeight,
      codec: report.get(video.codecId)?.mimeType?.split("/")[1],
      playoutUnixMs: unixMs(video.estimatedPlayoutTimestamp) ?? this.#captureUnixMs(),
    };
  }

  /** When the frame on the screen was taken in, by abs-capture-time; null when that is not known. */
  #captureUnixMs() {
    const receiver = this.pc.getReceivers().find(({ track }) => track.kind === "video");
    const [source] = receiver?.getSynchronizationSources?.() ?? [];
    const captured = unixMs(source?.captureTimestamp);
    return captured && captured + (performance.timeOrigin + performance.now() - source.timestamp);
  }

  #listen() {
    if (!this.#exchange.resource) return;
    this.#events = new EventSource(`${this.#exchange.resource}/events`);
    for (const type of ["drain", "move", ...FINAL]) {
      this.#events.addEventListener(type, (event) => {
        if (FINAL.includes(type)) this.#events.close();
        this.#tell("control", { type, ...parsed(event.data) });
      });
    }
    this.#events.addEventListener("marker", (event) => this.#tell("marker", parsed(event.data)));
    this.#events.addEventListener("rendition", (event) => {
      this.rendition = parsed(event.data);
      this.#tell("rendition");
    });
  }

  async #firstFrame() {
    const deadline = performance.now() + FIRST_FRAME_MS;
    while (!this.#closed && performance.now() < deadline) {
      if ((await this.stats())?.decoded > 0) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    // Connected without a picture: the broadcaster is away, or only sound is sent. That is no fault.
  }

  #watch() {
    clearTimeout(this.#timer);
    const state = this.pc.connectionState;
    if (state === "connected") return;
    if (state === "failed" || state === "closed") this.#restart();
    // A short break heals by itself.
    else this.#timer = setTimeout(() => this.#restart(), PATIENCE_MS);
  }

  async #restart() {
    if (this.#closed) return;
    try {
      await this.#exchange.restart();
    } catch {
      this.#tell("lost");
    }
  }

  #tell(type, detail) {
    if (!this.#closed) this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** NTP ms as Unix ms; null when not known. */
function unixMs(ntp) {
  if (!Number.isFinite(ntp) || ntp <= 0) return null;
  // By the standard it counts from 1900; a browser that counts from 1970 is understood as well.
  return ntp > NTP_TO_UNIX_MS ? ntp - NTP_TO_UNIX_MS : ntp;
}

function parsed(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === "object" ? value : {};
  } catch {
    return {};
  }
}
