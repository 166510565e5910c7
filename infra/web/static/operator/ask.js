// Asks before something is done that cannot be taken back.

import { button, el } from "./dom.js";

/**
 * Resolves to the chosen value (`true` without choices), or null where the person thought better of
 * it. Escape does; the focus begins on Cancel and goes back to where it was.
 */
export function ask({ title, text, action, choices = [] }) {
  return new Promise((resolve) => {
    let chosen = null;
    const cancel = button("Cancel", () => dialog.close(), { autofocus: true });
    const go = button(action, () => {
      chosen = choices.length ? dialog.querySelector("input:checked").value : true;
      dialog.close();
    }, { class: "danger" });
    const radios = choices.map(({ value, text: words }, place) =>
      el("label", { class: "choice" }, el("input", { type: "radio", name: "choice", value, checked: place === 0 }), el("span", {}, words)));
    const dialog = el("dialog", { "aria-labelledby": "ask-title", "aria-describedby": "ask-text" },
      el("h2", { id: "ask-title" }, title),
      el("p", { id: "ask-text" }, text),
      radios.length ? el("fieldset", {}, el("legend", {}, "How"), ...radios) : null,
      el("div", { class: "buttons" }, cancel, go));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(chosen);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
