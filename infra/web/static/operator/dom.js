// Elements, and lists that change under a reader without moving their focus.
// Invariant: whatever the API says becomes text or an attribute, never markup.

const rows = new WeakMap();

/** `properties`: `class`, `on` (listeners by type) and attributes; children: nodes, texts, or nothing. */
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "on") for (const [type, listener] of Object.entries(value)) made.addEventListener(type, listener);
    else made.setAttribute(key === "class" ? "class" : key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Sets a text only where it changed: a screen reader would hear it again. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/**
 * One row of `container` for each item: rows are kept by `key`, made by `make(item)` as
 * `{ node, update(item) }`, and only moved where their order changed.
 */
export function keyed(container, items, key, make) {
  const before = rows.get(container) ?? new Map();
  const after = new Map();
  const focused = container.contains(document.activeElement) ? document.activeElement : null;
  const place = focused ? [...container.children].findIndex((child) => child.contains(focused)) : -1;
  for (const item of items) {
    const id = key(item);
    const row = before.get(id) ?? make(item);
    row.update(item);
    after.set(id, row);
  }
  for (const [id, row] of before) if (!after.has(id)) row.node.remove();
  let next = container.firstElementChild;
  for (const { node } of after.values()) {
    if (node === next) next = next.nextElementSibling;
    else container.insertBefore(node, next);
  }
  rows.set(container, after);
  if (focused) keepFocus(container, focused, place);
}

/** Where the focused row moved, it keeps the focus; where it went, its neighbour gets it. */
function keepFocus(container, focused, place) {
  if (document.activeElement === focused) return;
  if (focused.isConnected) return focused.focus({ preventScroll: true });
  const neighbour = container.children[Math.min(place, container.children.length - 1)];
  const target = neighbour?.querySelector("a, button, input, summary") ?? container.closest("section")?.querySelector("h2, h1");
  if (!target) return undefined;
  if (/^H\d$/.test(target.tagName)) target.tabIndex = -1;
  return target.focus({ preventScroll: true });
}

/** A heading with what belongs under it. */
export function section(title, ...children) {
  const id = `s-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return el("section", { "aria-labelledby": id }, el("h2", { id }, title), ...children);
}

export function button(text, listener, properties = {}) {
  return el("button", { type: "button", ...properties, on: { click: listener } }, text);
}

/** Runs `work` with the button disabled, so that nobody does it twice; its trouble is told. */
export function working(work, tell) {
  return async (event) => {
    const pressed = event.currentTarget;
    if (pressed.getAttribute("aria-disabled") === "true") return;
    // A button that is disabled for good would lose the focus.
    pressed.setAttribute("aria-disabled", "true");
    try {
      await work();
    } catch (error) {
      tell(error.words ?? error.message, true);
    } finally {
      pressed.removeAttribute("aria-disabled");
    }
  };
}
