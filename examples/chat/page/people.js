// Who is in a room, as the chat's server tells it in handler mode.

import { el, paintAvatar, personLabel } from "./log.js";

const SHOWN = 100;

export class People {
  element = el("ul", { class: "people", "aria-label": "People here", hidden: "" });
  #version = 0;
  #users = null;
  #known = false;

  /** Takes a list, unless a later one is known; who came and who went since the one before. The first one shows `me` coming. */
  update({ version, users, count }, me) {
    const usable = Number.isFinite(version) && Array.isArray(users) && users.every((user) => typeof user === "string");
    if (!usable || version <= this.#version) return { came: [], went: [] };
    const before = this.#users ?? new Set(users.filter((user) => this.#known || user !== me));
    this.#version = version;
    this.#users = new Set(users.slice(0, SHOWN));
    this.#known = true;
    const more = Math.max(0, (Number(count) || 0) - this.#users.size);
    this.element.replaceChildren(
      ...[...this.#users].map((user) => el("li", {}, paintAvatar(el("span", { "aria-hidden": "true" }), user), personLabel(user))),
      ...(more > 0 ? [el("li", {}, `and ${more} more`)] : []),
    );
    return {
      came: [...this.#users].filter((user) => !before.has(user)),
      went: [...before].filter((user) => !this.#users.has(user)),
    };
  }

  /** Shows the list with its room, once there is one. */
  show(visible) {
    this.element.hidden = !(visible && this.#known);
  }

  /** A new connection hears the list anew; who came and went meanwhile is not told. */
  reset() {
    this.#users = null;
  }
}
