// The control API with a key. The key goes into a header and nowhere else.

const ANSWER_MS = 15_000;

/** The API said no (`status`), or could not be reached (`status` 0). */
export class Refused extends Error {
  constructor(status, { detail = "", fix = "", type = "" } = {}) {
    super(detail || (status ? `The server answered ${status}.` : "The server cannot be reached."));
    Object.assign(this, { status, fix, type });
  }

  /** One sentence or two for a person. */
  get words() {
    const said = this.message.charAt(0).toUpperCase() + this.message.slice(1);
    return [said, this.fix].filter(Boolean).map((part) => (/[.!?…]$/.test(part) ? part : `${part}.`)).join(" ");
  }
}

export class Api {
  #headers;

  /** `project`: only for keys of a whole organisation. */
  constructor(key, project = "") {
    this.#headers = { Authorization: `Bearer ${key}`, ...(project ? { "Livepath-Project": project } : {}) };
  }

  get(path, query = {}) {
    return this.#json("GET", path, { query });
  }

  /** Carried out once, however often the network repeats it. */
  post(path, body) {
    return this.#json("POST", path, { body, headers: { "Idempotency-Key": freshKey() } });
  }

  delete(path) {
    return this.#json("DELETE", path, {});
  }

  patch(path, body) {
    return this.#json("PATCH", path, { body });
  }

  /** A response whose body is a stream that goes on. */
  async open(path, { lastEventId = null, signal }) {
    const headers = { ...this.#headers, Accept: "text/event-stream", ...(lastEventId ? { "Last-Event-ID": lastEventId } : {}) };
    return answered(() => fetch(path, { headers, signal, cache: "no-store" }));
  }

  async #json(method, path, { query = {}, body, headers = {} }) {
    const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
    const url = given.length ? `${path}?${new URLSearchParams(given)}` : path;
    const options = { method, headers: { ...this.#headers, ...headers }, cache: "no-store", signal: AbortSignal.timeout(ANSWER_MS) };
    if (body !== undefined) {
      options.headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(body);
    }
    const response = await answered(() => fetch(url, options));
    return response.status === 204 ? null : response.json();
  }
}

async function answered(ask) {
  let response;
  try {
    response = await ask();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0);
  }
  if (response.ok) return response;
  throw new Refused(response.status, await response.json().catch(() => ({})));
}

function freshKey() {
  // crypto.randomUUID is there on secure pages only.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
