// The addresses of an event, to be copied. Those that let somebody publish are folded away, for a
// screen that others see.

import { button, el, keyed, say, setAttribute } from "./dom.js";

/** Copies a text; where the browser refuses (a page without HTTPS) it is selected instead. */
async function copy(field, word, notices) {
  try {
    await navigator.clipboard.writeText(field.value);
    notices.tell(`${word} copied.`);
  } catch {
    field.focus();
    field.select();
    notices.tell(`${word} is selected: copy it with your keyboard.`);
  }
}

export class Addresses {
  #list = el("div", { class: "addresses" });
  #notices;

  constructor(notices) {
    this.#notices = notices;
    this.node = this.#list;
  }

  /** `rows`: `[word, text]`. */
  update(rows) {
    keyed(this.#list, rows, ([word]) => word, ([word]) => {
      const id = `address-${word.toLowerCase().replace(/[^a-z]+/g, "-")}`;
      const field = el("input", { id, readonly: true, type: "text", spellcheck: "false", on: { focus: () => field.select() } });
      const press = button("Copy", () => copy(field, word, this.#notices), { "aria-label": `Copy: ${word}` });
      return {
        node: el("div", { class: "address" }, el("label", { for: id }, word), field, press),
        update([, text]) {
          if (field.value !== text) field.value = text;
        },
      };
    });
  }
}

export function watchRows(event) {
  return [
    ["Watch page", event.playback.player_url],
    ["LL-HLS playlist", event.playback.hls_url],
    ["WHEP address", event.playback.whep_url],
  ];
}

export function ingestRows(event) {
  const { srt, whip } = event.ingest;
  return [
    ...(srt ? [["SRT", srt.url], ["SRT of the backup", srt.backup_url], ["Stream id", srt.stream_id], ["Passphrase", srt.passphrase]] : []),
    ...(whip ? [["WHIP address", whip.url], ["WHIP of the backup", whip.backup_url], ["WHIP token", whip.token], ["Page that publishes a camera", whip.publish_url]] : []),
  ];
}

/** Hides what is behind a summary until it is asked for. */
export function folded(summary, ...children) {
  const words = el("summary", {});
  const node = el("details", {}, words, ...children);
  say(words, summary);
  setAttribute(node, "class", "folded");
  return node;
}
