// Server-sent events out of a response's text, however it was cut. Pure.
// EventSource cannot send an API key, so the page reads streams by fetch.

export class EventParser {
  #rest = "";
  #fields = null;

  /** What `text` completes: `{ event, data, id, retry }`, null for what was not said. */
  feed(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    return lines.map((line) => this.#take(line)).filter(Boolean);
  }

  #take(line) {
    if (line === "") {
      const done = this.#fields;
      this.#fields = null;
      return done;
    }
    if (line.startsWith(":")) return null;
    const [, name, value] = /^([^:]*)(?::\s?(.*))?$/s.exec(line);
    this.#fields ??= { event: null, data: null, id: null, retry: null };
    const fields = this.#fields;
    if (name === "data") fields.data = fields.data === null ? (value ?? "") : `${fields.data}\n${value ?? ""}`;
    else if (name === "event") fields.event = value ?? "";
    else if (name === "id") fields.id = value ?? "";
    else if (name === "retry" && /^\d+$/.test(value ?? "")) fields.retry = Number(value);
    return null;
  }
}
