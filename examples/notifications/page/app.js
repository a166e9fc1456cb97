// Starts jobs over HTTP and hears of their progress over Web PubSub. Pushes are hints: whenever the
// connection opens, the page asks the server how things are.

const $ = (id) => document.getElementById(id);
const jobs = new Map();
const LONGEST_PAUSE = 30_000;
const number = new Intl.NumberFormat("en");

// ---- the server

async function ask(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `The server answered ${response.status}.`);
  return answer;
}

async function refresh() {
  const { jobs: list } = await ask("GET", "/jobs");
  for (const job of list.toReversed()) show(job);
}

// ---- the connection

let failures = 0;

async function connect() {
  status("connecting", failures === 0 ? "Connecting…" : "Reconnecting…");
  let socket;
  try {
    const { url } = await ask("GET", "/negotiate");
    socket = new WebSocket(url, "json.webpubsub.azure.v1");
  } catch {
    return later();
  }
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "system" && message.event === "connected") {
      failures = 0;
      status("connected", "Connected");
      refresh().catch(() => socket.close());
    }
    if (message.type === "message" && message.from === "server") show(message.data.job);
  });
  socket.addEventListener("close", later);
}

function later() {
  const pause = Math.min(LONGEST_PAUSE, 500 * 2 ** failures) * (0.5 + Math.random() / 2);
  failures += 1;
  status("waiting", "Connection lost, reconnecting soon");
  setTimeout(connect, pause);
}

function status(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

// ---- the list

function show(job) {
  const known = jobs.get(job.id);
  if (known && known.job.version >= job.version) return;
  const entry = known ?? addEntry(job);
  entry.job = job;
  const { below, checked, primes, state } = job;
  entry.bar.max = below;
  entry.bar.value = checked;
  entry.text.textContent = {
    running: `${Math.floor((100 * checked) / below)} %, ${number.format(primes)} primes so far`,
    finished: `Finished: ${number.format(primes)} primes`,
    cancelled: `Cancelled at ${Math.floor((100 * checked) / below)} %`,
  }[state];
  entry.item.dataset.state = state;
  entry.cancel.hidden = state !== "running";
  if (state !== "running") $("announcer").textContent = `Primes below ${number.format(below)}: ${entry.text.textContent}`;
}

function addEntry(job) {
  const item = document.createElement("li");
  const title = Object.assign(document.createElement("h3"), { textContent: `Primes below ${number.format(job.below)}`, id: `job-${job.id}` });
  const bar = document.createElement("progress");
  bar.setAttribute("aria-labelledby", title.id);
  const text = document.createElement("p");
  const cancel = Object.assign(document.createElement("button"), { type: "button", textContent: "Cancel" });
  cancel.setAttribute("aria-describedby", title.id);
  cancel.addEventListener("click", () => ask("DELETE", `/jobs/${job.id}`).catch((error) => ($("error").textContent = error.message)));
  item.append(title, bar, text, cancel);
  $("jobs").prepend(item);
  $("none").hidden = true;
  const entry = { item, bar, text, cancel, job };
  jobs.set(job.id, entry);
  return entry;
}

$("start").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("error").textContent = "";
  $("below").removeAttribute("aria-invalid");
  try {
    const below = Number($("below").value.replaceAll(/[\s,.']/g, ""));
    if (!Number.isInteger(below)) throw new Error("Please type a whole number.");
    show(await ask("POST", "/jobs", { below }));
  } catch (error) {
    $("error").textContent = error.message;
    $("below").setAttribute("aria-invalid", "true");
    $("below").focus();
  }
});

addEventListener("online", () => refresh().catch(() => {}));
connect();
