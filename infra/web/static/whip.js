// One WHIP session (RFC 9725): a peer connection that sends a camera or a screen.

import { Exchange, onNetworkChange } from "./exchange.js";

const PATIENCE_MS = 1500;

/**
 * Events: "lost" (it will not come back by itself).
 * Invariant: after `close` no event is dispatched. The tracks belong to whoever made the session.
 */
export class WhipSession extends EventTarget {
  #exchange;
  #senders = {};
  #offNetwork = () => {};
  #timer = 0;
  #closed = false;

  /** `quality` is {bitrate, fps}; `kind` of the picture is "camera" or "screen". */
  constructor(url, token, tracks, quality, kind) {
    super();
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
    this.quality = quality;
    this.kind = kind;
    const stream = new MediaStream(tracks);
    for (const track of tracks) {
      const transceiver = this.pc.addTransceiver(track, { direction: "sendonly", streams: [stream] });
      this.#senders[track.kind] = transceiver.sender;
      if (track.kind === "video") preferH264(transceiver);
    }
    this.#exchange = new Exchange(this.pc, url, token);
  }

  /** Connected; raises `ExchangeError`. */
  async open() {
    try {
      await this.#exchange.open();
    } catch (error) {
      this.close();
      throw error;
    }
    await this.#limit();
    this.pc.addEventListener("connectionstatechange", () => this.#watch());
    this.#offNetwork = onNetworkChange(() => this.#restart());
    this.#watch();
  }

  /** Send another track of the same kind from now on, without a new negotiation. */
  async replace(track) {
    await this.#senders[track.kind]?.replaceTrack(track);
  }

  close() {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#offNetwork();
    this.#exchange.close();
  }

  /** What the browser measures, or null. */
  async stats() {
    if (this.#closed) return null;
    const report = await this.pc.getStats();
    const all = [...report.values()];
    const video = all.find((x) => x.type === "outbound-rtp" && x.kind === "video");
    const audio = all.find((x) => x.type === "outbound-rtp" && x.kind === "audio");
    if (!video && !audio) return null;
    const remote = report.get(video?.remoteId ?? audio?.remoteId);
    const transport = all.find((x) => x.type === "transport");
    const pair = report.get(transport?.selectedCandidatePairId);
    const local = report.get(pair?.localCandidateId);
    return {
      at: (video ?? audio).timestamp,
      path: local?.candidateType === "relay" ? `relay/${local.relayProtocol ?? local.protocol}` : local?.protocol,
      roundTripS: remote?.roundTripTime ?? pair?.currentRoundTripTime,
      bytes: (video?.bytesSent ?? 0) + (audio?.bytesSent ?? 0),
      lostShare: remote?.fractionLost,
      fps: video?.framesPerSecond,
      frames: video?.framesSent,
      width: video?.frameWidth,
      height: video?.frameHeight,
      limitedBy: video?.qualityLimitationReason,
      keyframesAsked: (video?.pliCount ?? 0) + (video?.firCount ?? 0),
      codec: report.get(video?.codecId)?.mimeType?.split("/")[1],
    };
  }

  /** The encoder's bounds; a browser that refuses them keeps its own. */
  async #limit() {
    const sender = this.#senders.video;
    if (!sender) return;
    const parameters = sender.getParameters();
    parameters.degradationPreference = this.kind === "screen" ? "maintain-resolution" : "balanced";
    for (const encoding of parameters.encodings ?? []) {
      encoding.maxBitrate = this.quality.bitrate;
      encoding.maxFramerate = this.quality.fps;
    }
    await sender.setParameters(parameters).catch(() => {});
  }

  #watch() {
    clearTimeout(this.#timer);
    const state = this.pc.connectionState;
    if (this.#closed || state === "connected") return;
    if (state === "failed" || state === "closed") this.#restart();
    else this.#timer = setTimeout(() => this.#restart(), PATIENCE_MS);
  }

  async #restart() {
    if (this.#closed) return;
    try {
      await this.#exchange.restart();
    } catch {
      if (!this.#closed) this.dispatchEvent(new Event("lost"));
    }
  }
}

/** H.264 first, in the packetization that every server takes; the rest stays behind it. */
function preferH264(transceiver) {
  const codecs = RTCRtpSender.getCapabilities?.("video")?.codecs ?? [];
  const rank = ({ mimeType, sdpFmtpLine = "" }) => {
    if (mimeType.toLowerCase() !== "video/h264") return 2;
    return sdpFmtpLine.includes("packetization-mode=1") ? 0 : 1;
  };
  const ordered = codecs.map((codec, place) => [rank(codec), place, codec]);
  ordered.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  if (ordered.length) transceiver.setCodecPreferences?.(ordered.map(([, , codec]) => codec));
}
