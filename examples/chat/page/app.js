// The chat page: who I am, the rooms I am in, and which of them is on screen.

import { Refused, RoomConnection } from "./connection.js";
import { MessageLog, el, paintAvatar, personLabel } from "./log.js";
import { People } from "./people.js";

const STORAGE_KEY = "chat";
const UNANSWERED_LIMIT = 200; // without handler mode nobody answers

const $ = (id) => document.getElementById(id);
const finePointer = matchMedia("(pointer: fine)");
const pageId = crypto.randomUUID().slice(0, 13);

/** `session` proves to the chat's server that the user id is mine; it stays in this tab. */
const me = { name: "", session: null, userId: "" };
const rooms = new Map();
let current = null;
let lastMessage = 0;

// ---- talking to the chat's own server

async function post(path, body, signal) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal,
  });
  if (response.ok) return response.status === 204 ? null : response.json();
  const { error, field } = await response.json().catch(() => ({}));
  const reason = error || `The chat server answered ${response.status}.`;
  if (response.status >= 500 || response.status === 408 || response.status === 429) throw new Error(reason);
  throw Object.assign(new Refused(reason), { field });
}

let negotiations = Promise.resolve();

/**
 * Asks for a URL that opens `room`. One at a time: a server that was restarted knows nobody, and
 * rooms that ask it side by side would each get a person of their own.
 */
function negotiate(room, signal) {
  const turn = negotiations.then(async () => {
    const grant = await post("/negotiate", { name: me.name, room, session: me.session }, signal);
    if (me.session !== grant.session) {
      Object.assign(me, { session: grant.session, userId: grant.userId });
      showMe();
      remember();
    }
    return grant;
  });
  negotiations = turn.catch(() => {});
  return turn;
}

// ---- rooms

/** Two people who type the same room in different ways mean the same room. */
function normalise(room) {
  return room.trim().toLowerCase().replace(/\s+/g, "-");
}

/** Enters a room; rejects with a message for people when the server does not let us in. */
async function enterRoom(name) {
  if (rooms.has(name)) return select(rooms.get(name));
  let first;
  try {
    first = await negotiate(name);
  } catch (error) {
    throw error instanceof Refused ? error : new Error("The chat server cannot be reached. Try again in a moment.");
  }
  if (!rooms.has(name)) openRoom(name, first);
  select(rooms.get(name));
}

/** `first` is a grant that is at hand already; its ticket lets the server announce us, once. */
function openRoom(name, first) {
  const room = { name, log: new MessageLog(name), people: new People(), unanswered: new Map(), unread: 0, draft: "", status: { name: "connecting" } };
  room.label = el("span", { class: "room-name" }, name);
  room.badge = el("span", { class: "badge", hidden: "" });
  room.button = el("button", { type: "button", click: () => select(room) }, el("span", { class: "dot", "aria-hidden": "true" }), room.label, room.badge);
  room.item = el("li", {}, room.button);
  let grant = first;
  let ticket = first?.ticket;
  room.connection = new RoomConnection({
    negotiate: (signal) => {
      const ready = grant;
      grant = null;
      return ready ? Promise.resolve(ready) : negotiate(name, signal);
    },
    state: (status) => {
      const change = status.name !== room.status.name;
      room.status = status;
      room.item.dataset.state = status.name;
      if (status.how === "renewed") room.people.reset();
      if (status.name === "connected" && ticket && first.mode !== "handler") {
        post("/announce", { ticket }).catch((error) => console.warn("The join was not announced:", error.message));
        ticket = null;
      }
      if (status.how === "renewed") room.log.addNotice("Back in a new session. Messages sent in the meantime may be missing here.");
      if (status.name === "stopped" && status.reason) room.log.addNotice(status.reason);
      if (room === current) showStatus(change);
    },
    message: ({ from, data }) => receive(room, from, data),
    delivery: (message) => room.log.setDelivery(message.view, message.status, {
      retry: () => resend(room, message),
      discard: () => discard(room, message),
    }),
  });
  rooms.set(name, room);
  $("rooms").append(room.item);
  $("logs").append(room.people.element, room.log.element);
  room.log.show(false);
  room.connection.start();
  remember();
}

function leaveRoom(room) {
  room.connection.stop();
  rooms.delete(room.name);
  room.item.remove();
  room.log.element.remove();
  room.people.element.remove();
  remember();
  if (room !== current) return;
  current = null;
  const [next] = rooms.values();
  if (next) select(next);
  else welcome();
}

function select(room) {
  if (current) {
    current.draft = $("message").value;
    current.log.show(false);
    current.people.show(false);
    current.button.removeAttribute("aria-current");
  }
  current = room;
  room.people.show(true);
  room.log.show(true);
  room.button.setAttribute("aria-current", "true");
  $("welcome").hidden = true;
  $("chat").hidden = false;
  $("room-title").textContent = room.name;
  $("message-label").textContent = `Message to ${room.name}`;
  $("leave").setAttribute("aria-label", `Leave ${room.name}`);
  $("message").value = room.draft;
  $("composer-error").textContent = "";
  openSidebar(false);
  markRead();
  showStatus(false);
  remember();
  // A touch keyboard that pops up on every change of rooms would be in the way.
  if (finePointer.matches) $("message").focus();
}

// ---- messages

/** What the chat's server says: nobody else sends without a user id, since it takes the key. */
function receiveFromServer(room, data) {
  if (data?.kind === "joined" && typeof data.user === "string") noticeArrival(room, data.user);
  if (data?.kind === "said" && typeof data.from === "string") receive(room, data.from, data);
  if (data?.kind === "receipt" && room.unanswered.has(data.id) && Number.isSafeInteger(data.at)) {
    room.log.setTime(room.unanswered.get(data.id), new Date(data.at));
    room.unanswered.delete(data.id);
  }
  if (data?.kind === "presence") {
    const { came, went } = room.people.update(data, me.userId);
    for (const user of came) noticeArrival(room, user);
    for (const user of went) room.log.addNotice(personLabel(user), " left");
    room.people.show(room === current);
  }
}

function noticeArrival(room, user) {
  if (user === me.userId) room.log.addNotice("You joined");
  else room.log.addNotice(personLabel(user), " joined");
}

function receive(room, from, data) {
  if (from === null) return receiveFromServer(room, data);
  if (typeof data?.text !== "string") return;
  const at = Number.isSafeInteger(data.at) ? new Date(data.at) : new Date();
  room.log.addMessage({ from, text: data.text, mine: from === me.userId, at });
  if (room === current && document.visibilityState === "visible") return;
  room.unread += 1;
  showUnread();
}

function send(text) {
  const room = current;
  const message = { id: `${pageId}-${++lastMessage}`, text, view: room.log.addMessage({ from: me.userId, text, mine: true }) };
  room.unanswered.set(message.id, message.view);
  if (room.unanswered.size > UNANSWERED_LIMIT) room.unanswered.delete(room.unanswered.keys().next().value);
  if (room.connection.send(message)) return true;
  room.unanswered.delete(message.id);
  room.log.remove(message.view);
  return false;
}

function resend(room, message) {
  if (!room.connection.send(message)) $("composer-error").textContent = "Too many unsent messages. Wait for the connection.";
  $("message").focus();
}

function discard(room, message) {
  room.log.remove(message.view);
  $("message").focus();
}

// ---- what the page shows

function welcome() {
  $("chat").hidden = true;
  $("welcome").hidden = false;
  $("name").value = me.name;
  document.title = "Chat";
  $("name").focus();
}

function showMe() {
  $("me").replaceChildren(personLabel(me.userId));
  paintAvatar($("me-avatar"), me.userId);
}

function showStatus(announce) {
  const { name, how, again, reason } = current.status;
  $("status").dataset.state = name;
  $("status-text").textContent = statusText(current.status);
  $("reconnect").hidden = name === "connected" || (name === "connecting" && !again);
  if (!announce) return;
  // The countdown would be read out every second, and the log reads out what it is told.
  const change = {
    connected: { first: "Connected", recovered: "Reconnected, no messages were missed", renewed: "Connected in a new session" }[how],
    recovering: "Connection lost, reconnecting",
    waiting: "Connection lost, reconnecting",
    stopped: `Disconnected. ${reason}`,
  }[name];
  if (change) $("announcer").textContent = `${current.name}: ${change}`;
}

/** What the line under the room's name says. */
function statusText({ name, how, again, retryAt }) {
  if (name === "connected") return { first: "Connected", recovered: "Reconnected", renewed: "New session" }[how];
  if (name === "stopped") return "Disconnected";
  if (name === "connecting" && !again) return "Connecting…";
  if (!retryAt) return "Reconnecting…";
  const seconds = Math.max(1, Math.ceil((retryAt - Date.now()) / 1000));
  return `${navigator.onLine ? "Reconnecting" : "Offline, retry"} in ${seconds} s`;
}

function showUnread() {
  let total = 0;
  let elsewhere = 0;
  for (const room of rooms.values()) {
    room.badge.hidden = room.unread === 0;
    room.badge.replaceChildren(String(room.unread), el("span", { class: "visually-hidden" }, " unread"));
    total += room.unread;
    if (room !== current) elsewhere += room.unread;
  }
  $("other-unread").hidden = elsewhere === 0;
  $("other-unread").replaceChildren(String(elsewhere), el("span", { class: "visually-hidden" }, " unread"));
  document.title = `${total ? `(${total}) ` : ""}${current ? `${current.name} · ` : ""}Chat`;
}

function markRead() {
  if (current) current.unread = 0;
  showUnread();
}

function openSidebar(open) {
  $("sidebar").classList.toggle("open", open);
  $("rooms-toggle").setAttribute("aria-expanded", String(open));
}

// ---- this tab's memory: a reload comes back to the same rooms as the same person

function remember() {
  const state = { me, rooms: [...rooms.keys()], current: current?.name };
  sessionStorage.setItem(STORAGE_KEY, JSON.stringify(state));
}

function restore() {
  let state;
  try {
    state = JSON.parse(sessionStorage.getItem(STORAGE_KEY) ?? "null");
  } catch {
    state = null;
  }
  Object.assign(me, state?.me);
  if (!state?.rooms?.length) return welcome();
  showMe();
  for (const name of state.rooms) openRoom(name, null);
  select(rooms.get(state.current) ?? rooms.values().next().value);
}

// ---- forms and keys

/** Runs what a form asks for; a refusal goes into the form's error line and the focus to its field. */
function onSubmit(form, fields, action) {
  let busy = false;
  $(form).addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    const error = $(`${form}-error`);
    error.textContent = "";
    for (const field of Object.values(fields)) $(field).removeAttribute("aria-invalid");
    try {
      await action();
    } catch (refusal) {
      const field = $(fields[refusal.field] ?? Object.values(fields)[0]);
      error.textContent = refusal.message;
      field.setAttribute("aria-invalid", "true");
      field.focus();
    } finally {
      busy = false;
    }
  });
}

onSubmit("enter", { name: "name", room: "first-room" }, async () => {
  const name = $("name").value.trim();
  if (!name) throw new Error("Please type a name.");
  if (name !== me.name) Object.assign(me, { name, session: null, userId: "" });
  await enterRoom(normalise($("first-room").value));
});

onSubmit("join", { room: "join-room" }, async () => {
  await enterRoom(normalise($("join-room").value));
  $("join-room").value = "";
});

onSubmit("composer", { text: "message" }, async () => {
  const text = $("message").value.trim();
  if (!text) return;
  if (!send(text)) throw new Error("Too many unsent messages. Wait for the connection.");
  $("message").value = "";
});

$("message").addEventListener("keydown", (event) => {
  // An input method uses Enter to accept a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

$("leave").addEventListener("click", () => leaveRoom(current));
$("reconnect").addEventListener("click", () => {
  if (current.status.name === "stopped") current.connection.start();
  else current.connection.wake();
  $("message").focus();
});
$("sign-out").addEventListener("click", () => {
  for (const room of [...rooms.values()]) leaveRoom(room);
  Object.assign(me, { name: "", session: null, userId: "" });
  sessionStorage.removeItem(STORAGE_KEY);
  welcome();
});
$("rooms-toggle").addEventListener("click", () => {
  const open = $("rooms-toggle").getAttribute("aria-expanded") !== "true";
  openSidebar(open);
  if (open) current.button.focus();
});
$("chat").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !$("sidebar").classList.contains("open")) return;
  openSidebar(false);
  $("rooms-toggle").focus();
});

function wakeAll() {
  for (const room of rooms.values()) room.connection.wake();
}
addEventListener("online", wakeAll);
addEventListener("offline", wakeAll); // often wrong, and never true for loopback: so ask the service
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "visible") return;
  markRead();
  wakeAll();
});
setInterval(() => {
  if (current?.status.retryAt) showStatus(false);
}, 500);

restore();
