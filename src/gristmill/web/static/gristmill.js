// Keeps a page true while it is open: live parts, output, times in the viewer's zone.
"use strict";

const QUIET = 200; // milliseconds between the first message and a look at the page
const OUTPUT_PAUSE = 1000;
const MOST_SHOWN = 1 << 20; // characters of output that stay on the page

const serverAhead = Number(document.body.dataset.now || 0) * 1000 - Date.now();
const pad = (number, width = 2) => String(number).padStart(width, "0");

function localTime(date) {
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  return `${day} ${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

function durationText(seconds) {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${pad(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h${pad(Math.floor(whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86400)}d${pad(Math.floor(whole / 3600) % 24)}h`;
}

function showTimes(root) {
  for (const element of root.querySelectorAll("time")) {
    element.textContent = localTime(new Date(element.dateTime));
  }
  showDurations(root);
}

function showDurations(root) {
  const now = Date.now() + serverAhead;
  for (const element of root.querySelectorAll("[data-since]")) {
    element.textContent = durationText(Math.max(0, now / 1000 - Number(element.dataset.since)));
  }
}

// Live parts ---------------------------------------------------------------------------------

const received = new Map();
for (const element of document.querySelectorAll("[data-live]")) {
  received.set(element.id, element.outerHTML);
}

function isBeingRead(element) {
  const selection = document.getSelection();
  return !selection.isCollapsed && selection.containsNode(element, true);
}

function replace(element, fresh) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  const left = element.querySelector(".scroll")?.scrollLeft ?? 0;
  showTimes(fresh);
  // The element itself stays: screen readers follow it by its aria-live.
  element.replaceChildren(...fresh.childNodes);
  element.toggleAttribute("data-resting", fresh.hasAttribute("data-resting"));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  const scroll = element.querySelector(".scroll");
  if (scroll) scroll.scrollLeft = left;
}

async function refresh() {
  const reply = await fetch(location.href, { cache: "no-store" });
  if (reply.status === 401) location.reload();
  if (!reply.ok) return;
  const page = new DOMParser().parseFromString(await reply.text(), "text/html");
  for (const fresh of page.querySelectorAll("[data-live]")) {
    const element = document.getElementById(fresh.id);
    const text = fresh.outerHTML;
    if (!element || received.get(fresh.id) === text || isBeingRead(element)) continue;
    received.set(fresh.id, text);
    replace(element, document.adoptNode(fresh));
  }
  refreshPanes(page);
}

let source = null;
let timer = 0;
let busy = false;
let again = false;

function refreshSoon() {
  again = busy;
  if (!busy && !timer) timer = setTimeout(refreshNow, QUIET);
}

async function refreshNow() {
  timer = 0;
  busy = true;
  try {
    await refresh();
  } catch {
    // The stream tells when the server is back, and then the page is fetched anew.
  } finally {
    busy = false;
    if (again) refreshSoon();
  }
}

function say(state, text) {
  const place = document.getElementById("connection");
  if (!place || place.dataset.state === state) return;
  place.dataset.state = state;
  place.textContent = text;
}

function listen() {
  source = new EventSource(document.body.dataset.events);
  source.addEventListener("open", () => {
    say("live", "live");
    refreshSoon();
  });
  source.addEventListener("change", refreshSoon);
  source.addEventListener("error", async () => {
    say("away", "reconnecting…");
    if (source.readyState !== EventSource.CLOSED) return;
    setTimeout(() => document.hidden || listen(), 3000);
    refreshSoon();
  });
}

// A browser opens few connections to one server: tabs that nobody looks at hold none.
function listenWhileSeen() {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) {
    listen();
  }
}

// Output -------------------------------------------------------------------------------------

function atEnd(pane) {
  return pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40;
}

function show(section, look) {
  const pane = section.querySelector(".output");
  const [lines, partial] = pane.children;
  const following = atEnd(pane);
  if (look.lines) lines.append(look.lines);
  while (lines.childNodes.length > 1 && lines.textContent.length > MOST_SHOWN) {
    lines.firstChild.remove();
  }
  if (partial.textContent !== look.partial) partial.textContent = look.partial;
  if (following) pane.scrollTop = pane.scrollHeight;
}

async function readMore(section) {
  while (section.isConnected && !("ended" in section.dataset)) {
    const reply = await fetch(`${section.dataset.more}&offset=${section.dataset.next}`);
    if (!reply.ok) return;
    const look = await reply.json();
    show(section, look);
    section.dataset.next = look.next;
    if (look.ended) section.dataset.ended = "";
    if (!look.lines) return;
  }
}

async function follow(section) {
  while (section.isConnected && !("ended" in section.dataset)) {
    if (!document.hidden && !document.querySelector("[data-resting]")) {
      try {
        await readMore(section);
      } catch {
        // Tried again below, for as long as the page is open.
      }
    }
    await new Promise((resolve) => setTimeout(resolve, OUTPUT_PAUSE));
  }
}

function panes(root) {
  return root.querySelectorAll("[data-more]");
}

function begin(section) {
  const pane = section.querySelector(".output");
  pane.scrollTop = pane.scrollHeight;
  follow(section);
}

// A job that runs again writes to new streams.
function refreshPanes(page) {
  for (const fresh of panes(page)) {
    const section = document.getElementById(fresh.id);
    if (!section || section.dataset.more === fresh.dataset.more) continue;
    section.replaceWith(document.adoptNode(fresh));
    begin(fresh);
  }
}

// Login --------------------------------------------------------------------------------------

// What stands after # is never sent to a server nor told to other pages.
function logInFromAddress() {
  const form = document.getElementById("login");
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname + location.search);
  if (!form) return;
  form.elements.token.value = token;
  form.submit();
}

showTimes(document);
logInFromAddress();
for (const section of panes(document)) begin(section);
if (document.body.dataset.events) {
  listenWhileSeen();
  document.addEventListener("visibilitychange", listenWhileSeen);
  setInterval(() => showDurations(document), 1000);
}
