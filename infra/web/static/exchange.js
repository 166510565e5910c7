// One WHIP or WHEP resource: SDP over HTTP around an RTCPeerConnection (RFC 9725).
// The server is ICE-lite and needs none of our candidates, so the offer is sent before gathering
// starts: one round trip, and TURN servers from the reply are still in time.

import { iceServersOf, restartFragment, restartedAnswer } from "./sdp.js";

const CONNECT_MS = 3000;
const ANSWER_MS = 8000;

/** `kind`: "refused" (HTTP status), "unreachable" (HTTP), "no-path" (ICE, DTLS) or "overtaken". */
export class ExchangeError extends Error {
  constructor(kind, { status = 0, detail = "", fix = "", retryAfter = null } = {}) {
    super(detail || kind);
    Object.assign(this, { kind, status, detail, fix, retryAfter });
  }
}

export class Exchange {
  /** The resource's URL once the server has made it. */
  resource = null;
  #url;
  #token;
  #answer = "";
  #restarting = false;
  #closed = false;

  /** `token` goes as bearer token; empty: none is sent. */
  constructor(pc, url, token = "") {
    this.pc = pc;
    this.#url = url;
    this.#token = token;
  }

  /** Offer, answer, and wait until media can flow. */
  async open() {
    const offer = await this.pc.createOffer();
    const response = await this.#send("POST", this.#url, "application/sdp", offer.sdp);
    const location = response.headers.get("Location");
    if (location) this.resource = new URL(location, response.url || this.#url).href;
    if (this.#closed) return this.#delete(); // closed while the request was under way
    const iceServers = iceServersOf(response.headers.get("Link"));
    if (iceServers.length) this.pc.setConfiguration({ ...this.pc.getConfiguration(), iceServers });
    this.#answer = await response.text();
    try {
      await this.pc.setLocalDescription(offer);
      await this.pc.setRemoteDescription({ type: "answer", sdp: this.#answer });
    } catch (error) {
      throw new ExchangeError("no-path", { detail: error.message });
    }
    await this.#connected(CONNECT_MS);
  }

  /** New ICE credentials on both sides; media goes on over the old path meanwhile. */
  async restart() {
    if (this.#restarting || this.#closed || !this.resource) return;
    this.#restarting = true;
    try {
      const offer = await this.pc.createOffer({ iceRestart: true });
      await this.pc.setLocalDescription(offer);
      const body = restartFragment(offer.sdp);
      const type = "application/trickle-ice-sdpfrag";
      const response = await this.#send("PATCH", this.resource, type, body, { "If-Match": "*" });
      this.#answer = restartedAnswer(this.#answer, await response.text());
      await this.pc.setRemoteDescription({ type: "answer", sdp: this.#answer });
      await this.#connected(CONNECT_MS);
    } finally {
      this.#restarting = false;
    }
  }

  /** End it here and at the server; harmless when repeated. */
  close() {
    if (this.#closed) return;
    this.#closed = true;
    this.pc.close();
    this.#delete();
  }

  #delete() {
    if (!this.resource) return;
    const headers = this.#token ? { Authorization: `Bearer ${this.#token}` } : {};
    // It must outlive the page. Whether it arrives does not matter: the server notices silence.
    fetch(this.resource, { method: "DELETE", headers, keepalive: true }).catch(() => {});
    this.resource = null;
  }

  async #send(method, url, type, body, extra = {}) {
    const headers = { "Content-Type": type, ...extra };
    if (this.#token) headers.Authorization = `Bearer ${this.#token}`;
    let response;
    try {
      response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(ANSWER_MS) });
    } catch {
      throw new ExchangeError("unreachable");
    }
    if (response.ok) return response;
    const problem = await response.json().catch(() => ({}));
    const retryAfter = Number.parseFloat(response.headers.get("Retry-After") ?? "");
    throw new ExchangeError("refused", {
      status: response.status,
      detail: problem.detail ?? "",
      fix: problem.fix ?? "",
      retryAfter: Number.isFinite(retryAfter) ? retryAfter : null,
    });
  }

  #connected(milliseconds) {
    const { pc } = this;
    return new Promise((resolve, reject) => {
      const settle = (error) => {
        clearTimeout(timer);
        pc.removeEventListener("connectionstatechange", look);
        if (error) reject(error);
        else resolve();
      };
      const look = () => {
        if (pc.connectionState === "connected") settle(null);
        if (["failed", "closed"].includes(pc.connectionState)) settle(new ExchangeError("no-path"));
      };
      const timer = setTimeout(() => settle(new ExchangeError("no-path")), milliseconds);
      pc.addEventListener("connectionstatechange", look);
      look();
    });
  }
}

/** Calls `restart` when the device's network changes; returns a function that ends it. */
export function onNetworkChange(restart) {
  const connection = navigator.connection;
  window.addEventListener("online", restart);
  connection?.addEventListener?.("change", restart);
  return () => {
    window.removeEventListener("online", restart);
    connection?.removeEventListener?.("change", restart);
  };
}
