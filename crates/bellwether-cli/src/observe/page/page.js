"use strict";
// What the server says is text: it is only ever set as such.

const POINTS = 60;
const LOG = 200;
const MARKS = { idle: "·", busy: "#", starting: "+", leaving: "−", ending: "×", killed: "×" };
const tracks = new Map();
const byId = (id) => document.getElementById(id);

function text(node, words) {
  if (node.textContent !== words) node.textContent = words;
}

function number(value) {
  return value >= 1e6 ? `${(value / 1e6).toFixed(1)} M` : Math.round(value).toLocaleString("en");
}

function time(us) {
  if (us === null) return "–";
  const ms = us / 1000;
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

function age(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** The upper bound of the class in which a share of the new requests lies. */
function percentile(before, now, share) {
  const earlier = new Map((before?.classes ?? []).map((it) => [it.below_us, it.count]));
  const grown = now.classes.map((it) => [it.below_us, Math.max(0, it.count - (earlier.get(it.below_us) ?? 0))]);
  let left = Math.max(1, Math.ceil(share * grown.reduce((sum, [, count]) => sum + count, 0)));
  for (const [below, count] of grown) {
    left -= count;
    if (count > 0 && left <= 0) return below;
  }
  return null;
}

function draw(svg, series) {
  const most = Math.max(1, ...series);
  const from = POINTS - series.length;
  const at = (value, i) => `${((from + i) * 120) / (POINTS - 1)},${30 - (28 * value) / most}`;
  svg.firstElementChild.setAttribute("d", series.length > 1 ? `M${series.map(at).join("L")}` : "");
}

function push(series, value) {
  series.push(value);
  if (series.length > POINTS) series.shift();
}

const who = (it) => `${it.generation}/${it.slot}/${it.pid}`;

function track(name) {
  if (!tracks.has(name)) {
    const article = byId("pool").content.firstElementChild.cloneNode(true);
    byId("pools").append(article);
    tracks.set(name, { article, rate: [], depth: [], service: [], handlers: [], before: null });
  }
  return tracks.get(name);
}

function cell(node, handler, woke, won) {
  const state = MARKS[handler.state] ? handler.state : "idle";
  node.className = `cell ${state}${won > 0 ? " won" : ""}`;
  text(node, MARKS[state]);
  const race = woke > 0 ? `, woke ${woke}, won ${won}, lost ${woke - won}` : "";
  const words = `handler ${handler.slot}: ${handler.state}${race}`;
  node.title = handler.says ? `${words}: ${handler.says}` : words;
  node.setAttribute("aria-label", words);
}

/** As many children as there are things; each is filled in its place. */
function fill(parent, tag, things, each) {
  while (parent.children.length > things.length) parent.lastElementChild.remove();
  while (parent.children.length < things.length) parent.append(document.createElement(tag));
  things.forEach((thing, i) => each(parent.children[i], thing));
}

function row(node, handler) {
  const memory = handler.memory === null ? "–" : (handler.memory / 1048576).toFixed(1);
  const cpu = handler.cpu_s === null ? "–" : handler.cpu_s.toFixed(1);
  const busy = handler.busy_s !== null && handler.state === "busy" ? ` ${handler.busy_s.toFixed(1)} s` : "";
  const words = [handler.slot, handler.pid ?? "–", handler.generation, handler.state + busy, handler.wakeups,
    handler.wins, handler.losses, handler.requests, cpu, memory, handler.says ?? ""];
  fill(node, "td", words, (td, word) => text(td, String(word)));
}

function show(pool, seconds) {
  const it = track(pool.name);
  const { article, before } = it;
  const part = (selector) => article.querySelector(selector);
  const earlier = new Map((before?.handlers ?? []).map((handler) => [who(handler), handler]));
  const grown = (handler, key) => Math.max(0, handler[key] - (earlier.get(who(handler))?.[key] ?? handler[key]));
  const depth = pool.addresses.reduce((sum, address) => sum + address.depth, 0);
  const busy = pool.handlers.filter((handler) => handler.state === "busy").length;
  const since = (key) => (before ? Math.max(0, pool.totals[key] - before.totals[key]) : 0);
  const rate = since("requests") / seconds;
  const service = before ? percentile(before.service, pool.service, 0.99) : null;
  push(it.rate, rate);
  push(it.depth, depth);
  push(it.service, service ?? 0);
  push(it.handlers, pool.handlers.length);
  for (const [name, now] of Object.entries({
    rate: number(rate), depth: number(depth), service: time(service), handlers: number(pool.handlers.length),
  })) {
    text(part(`[data-now=${name}]`), now);
    draw(part(`[data-chart=${name}]`), it[name]);
  }
  text(part(".name"), `${pool.name} at ${pool.addresses.map((address) => address.address).join(", ")}`);
  const limit = pool.limited_by ? `, held back by: ${pool.limited_by}` : "";
  text(part(".crew"), `${pool.state}, generation ${pool.generation}: ${pool.handlers.length} handlers, ${busy} busy; ` +
    `${pool.want} wanted (${pool.min} to ${pool.max})${limit}`);
  text(part(".why"), pool.why ? `because ${pool.why}` : "");
  const woke = since("wakeups");
  const won = since("accepted");
  text(part(".race"), pool.serves
    ? "Programs do not tell who woke and who won."
    : `In the last second the bell woke ${number(woke)}, ${number(won)} won a connection, ${number(since("losses"))} came too late.`);
  fill(part(".cells"), "li", pool.handlers, (node, handler) =>
    cell(node, handler, grown(handler, "wakeups"), grown(handler, "wins")));
  if (part("details").open) fill(part("tbody"), "tr", pool.handlers, row);
  part("details").ontoggle = () => fill(part("tbody"), "tr", pool.handlers, row);
  it.before = pool;
  return woke;
}

let seen = 0;

function status(status) {
  const now = performance.now();
  const seconds = seen ? Math.max(0.1, (now - seen) / 1000) : 1;
  seen = now;
  document.body.classList.remove("lost");
  document.title = `${status.name}: ${status.state}`;
  text(byId("server"), status.name);
  const handlers = status.pools.reduce((sum, pool) => sum + pool.handlers.length, 0);
  const pools = status.pools.length === 1 ? "" : ` in ${status.pools.length} pools`;
  text(byId("summary"), `${status.state} for ${age(status.uptime_s)}: ${handlers} handlers${pools}; bellwether ${status.version}`);
  byId("change").hidden = !status.change;
  text(byId("change"), status.change ?? "");
  for (const [name, it] of tracks) {
    if (!status.pools.some((pool) => pool.name === name)) {
      it.article.remove();
      tracks.delete(name);
    }
  }
  const woke = status.pools.map((pool) => show(pool, seconds)).reduce((sum, it) => sum + it, 0);
  const bell = byId("bell");
  bell.classList.remove("rings");
  if (woke > 0) requestAnimationFrame(() => bell.classList.add("rings"));
}

const told = new Set();

function entry(entry) {
  // Whoever lost the server hears again what is kept.
  const key = `${entry.unix_ms}/${entry.number}`;
  if (told.has(key)) return;
  told.add(key);
  const line = document.createElement("li");
  const unwanted = ["exit", "signal", "oom", "boot", "deadline", "contradiction"].includes(entry.cause);
  line.className = entry.kind === "exit" && !unwanted ? "left" : entry.kind;
  const part = (name, words) => {
    const span = document.createElement("span");
    span.className = name;
    span.textContent = `${words} `;
    line.append(span);
  };
  part("time", new Date(entry.unix_ms).toISOString().slice(11, 23));
  part("kind", entry.kind);
  if (entry.pool) part("where", entry.pool + (entry.slot === undefined ? "" : `/${entry.slot}`));
  part("reason", (entry.cause ? `${entry.cause}: ` : "") + entry.reason);
  const log = byId("log");
  log.prepend(line);
  while (log.children.length > LOG) log.lastElementChild.remove();
}

function lost(why) {
  document.body.classList.add("lost");
  text(byId("summary"), `No answer: ${why}`);
}

const events = new EventSource("/events");
const on = (kind, act) => events.addEventListener(kind, (event) => act(JSON.parse(event.data)));
on("status", status);
on("entry", entry);
on("lost", lost);
events.onerror = () => lost("the observer is gone; this page goes on when it is back");
