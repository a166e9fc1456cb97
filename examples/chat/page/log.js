// The messages of one room. Everything people wrote goes in as text nodes, never as markup.

const ENTRY_LIMIT = 500;
const TEXT_LIMIT = 8_000; // this page sends 2,000 characters at most; others may send anything
const HUES = 8;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/** Makes an element; strings among the children become text. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** The name a person chose, and the tag by which the server tells people of one name apart. */
export function personLabel(userId) {
  const { name, tag } = person(userId);
  const label = el("span", { class: "who" }, el("bdi", {}, name));
  if (tag) label.append(" ", el("span", { class: "tag" }, `#${tag}`));
  return label;
}

/** Shows a person's initial on a colour that stays the same for the same user id. */
export function paintAvatar(element, userId) {
  let hash = 0;
  for (const unit of userId) hash = (Math.imul(hash, 31) + unit.codePointAt(0)) >>> 0;
  element.className = `avatar hue-${hash % HUES}`;
  element.textContent = [...person(userId).name][0]?.toUpperCase() ?? "?";
  return element;
}

function person(userId) {
  const at = userId.lastIndexOf("#");
  return at < 0 ? { name: userId, tag: "" } : { name: userId.slice(0, at), tag: userId.slice(at + 1) };
}

export class MessageLog {
  #list = el("ol");
  #scroller;
  #jump;
  #previous = null; // sender and minute of the last message, to group what belongs together

  constructor(room) {
    this.#scroller = el("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": `Messages in ${room}`, tabindex: "0" }, this.#list);
    this.#jump = el("button", { class: "jump", type: "button", hidden: "", click: () => this.#readOn() }, "New messages");
    this.element = el("div", { class: "log-frame" }, this.#scroller, this.#jump);
    this.#scroller.addEventListener("scroll", () => {
      if (this.#atEnd()) this.#jump.hidden = true;
    });
  }

  /** A message as it arrived, or as it was typed; returns what `setDelivery` needs. */
  addMessage({ from, text, mine, at = new Date() }) {
    const time = clock.format(at);
    const grouped = this.#previous?.from === from && this.#previous.time === time;
    this.#previous = { from, time };
    const when = el("time", { datetime: at.toISOString(), title: calendar.format(at) }, time);
    const meta = el("p", { class: "meta" }, personLabel(from), when);
    const body = el("p", { class: "text", dir: "auto" }, text.length > TEXT_LIMIT ? `${text.slice(0, TEXT_LIMIT)}…` : text);
    const delivery = el("p", { class: "delivery", hidden: "" });
    const entry = el(
      "li",
      { class: `message${mine ? " mine" : ""}${grouped ? " grouped" : ""}` },
      paintAvatar(el("span", { "aria-hidden": "true" }), from),
      el("div", { class: "bubble" }, meta, body),
      delivery,
    );
    this.#append(entry, mine);
    return { entry, delivery, when };
  }

  /** Corrects the time of a message: the server's, where it tells. */
  setTime({ when }, at) {
    when.dateTime = at.toISOString();
    when.title = calendar.format(at);
    when.textContent = clock.format(at);
  }

  /** What happened to a message of one's own: `retry` and `discard` are offered when it failed. */
  setDelivery({ entry, delivery }, status, { retry, discard }) {
    const notes = { waiting: "Waiting for the connection", failed: "Not sent" };
    entry.dataset.status = status;
    delivery.hidden = !(status in notes);
    delivery.replaceChildren(notes[status] ?? "");
    if (status === "failed") {
      delivery.append(
        el("button", { type: "button", class: "link", click: retry }, "Send again"),
        el("button", { type: "button", class: "link", click: discard }, "Discard"),
      );
    }
  }

  remove({ entry }) {
    entry.remove();
    this.#previous = null;
  }

  /** A line that nobody said: somebody joined, messages may be missing. */
  addNotice(...content) {
    const at = new Date();
    this.#previous = null;
    this.#append(el("li", { class: "notice" }, el("p", {}, ...content, " ", el("time", { datetime: at.toISOString(), title: calendar.format(at) }, clock.format(at)))));
  }

  show(visible) {
    this.element.hidden = !visible;
    if (visible) this.#jumpToEnd();
  }

  #append(entry, follow = false) {
    const end = follow || this.#atEnd();
    this.#list.append(entry);
    if (this.#list.childElementCount > ENTRY_LIMIT) this.#list.firstElementChild.remove();
    if (end) this.#jumpToEnd();
    else this.#jump.hidden = false;
  }

  #readOn() {
    this.#scroller.focus(); // the button is about to vanish and would take the focus with it
    this.#jumpToEnd();
  }

  #atEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.#scroller;
    return scrollHeight - scrollTop - clientHeight < 48;
  }

  #jumpToEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#jump.hidden = true;
  }
}
