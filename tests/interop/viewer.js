// A WHEP viewer in a page, without any player of ours: `await watch(url)` gives an object whose
// `facts()` are getStats plus, in Chromium, the RTP timestamps of the frames that went to the decoder
// and the age of every picture when it is shown.
//
// The stamp that the publisher put into a frame's SEI is read from the coded frame, remembered by RTP
// timestamp, and compared with the time at which requestVideoFrameCallback shows that timestamp.
const MARK = new TextEncoder().encode("livepath-clock-1");
const DIGITS = 17;

function stampOf(data) {
  const bytes = new Uint8Array(data, 0, Math.min(data.byteLength, 400));
  search: for (let at = 0; at + MARK.length + DIGITS <= bytes.length; at++) {
    for (let i = 0; i < MARK.length; i++) if (bytes[at + i] !== MARK[i]) continue search;
    const digits = bytes.subarray(at + MARK.length, at + MARK.length + DIGITS);
    return Number(new TextDecoder().decode(digits)) / 1000;
  }
  return null;
}

class Watching {
  constructor(coded) {
    this.stamps = new Map();
    this.whole = []; // RTP timestamps of the pictures that arrived whole, in decoding order
    this.shown = []; // [shown at, age], ms
    this.pc = new RTCPeerConnection(coded ? { encodedInsertableStreams: true } : {});
    this.video = document.body.appendChild(document.createElement("video"));
    this.video.muted = true;
    this.video.autoplay = this.video.playsInline = true;
    this.audio = new Audio();
    this.pc.ontrack = ({ track, receiver }) => {
      const stream = new MediaStream([track]);
      if (coded) this.read(receiver, track.kind);
      if (track.kind === "audio") {
        this.audio.srcObject = stream;
        this.audio.play().catch(() => {});
        return;
      }
      this.video.srcObject = stream;
      this.video.play().catch(() => {});
      if (coded) this.video.requestVideoFrameCallback((_, frame) => this.show(frame));
    };
  }

  read(receiver, kind) {
    const { readable, writable } = receiver.createEncodedStreams();
    const look = (frame, controller) => {
      const stamp = kind === "video" ? stampOf(frame.data) : null;
      if (kind === "video") this.whole.push(frame.timestamp >>> 0);
      if (stamp !== null) this.stamps.set(frame.timestamp >>> 0, stamp);
      controller.enqueue(frame);
    };
    readable.pipeThrough(new TransformStream({ transform: look })).pipeTo(writable);
  }

  show(frame) {
    const stamp = this.stamps.get(frame.rtpTimestamp >>> 0);
    const at = performance.timeOrigin + frame.expectedDisplayTime;
    if (stamp !== undefined) this.shown.push([at, at - stamp]);
    this.video.requestVideoFrameCallback((_, next) => this.show(next));
  }

  async connect(url) {
    for (const kind of ["video", "audio"]) this.pc.addTransceiver(kind, { direction: "recvonly" });
    await this.pc.setLocalDescription(await this.pc.createOffer());
    const headers = { "content-type": "application/sdp" };
    const answer = await fetch(url, { method: "POST", headers, body: this.pc.localDescription.sdp });
    if (answer.status !== 201) throw new Error(`HTTP ${answer.status}: ${await answer.text()}`);
    this.session = new URL(answer.headers.get("location"), url).href;
    await this.pc.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    return this;
  }

  async facts() {
    const { shown, whole } = this;
    const facts = { state: this.pc.connectionState, width: this.video.videoWidth, shown, whole };
    for (const one of (await this.pc.getStats()).values()) {
      if (one.type === "inbound-rtp") facts[one.kind] = one;
      if (one.type === "transport") facts.srtp = one.srtpCipher;
    }
    return facts;
  }

  async close() {
    this.pc.close();
    await fetch(this.session, { method: "DELETE" });
  }
}

window.watch = (url, coded = false) => new Watching(coded).connect(url);
