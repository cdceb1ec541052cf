// The pages are whole without this script; it keeps them up to date and draws their plots.
"use strict";

const HOME = document.body.dataset.home;
const API = `${HOME}api/`;
const PODS_EVERY = 5000;
const METRICS_EVERY = 10000;
const RUN_EVERY = 1000;
const MOST_POINTS = 1000;
const SMALL_PLOTS = [
  ["cpu", "CPU cores"],
  ["memory", "Memory, MiB"],
  ["network_in", "Network in, MiB/s"],
  ["network_out", "Network out, MiB/s"],
];

const byId = (id) => document.getElementById(id);

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

async function fetchJson(path) {
  const reply = await fetch(API + path, { headers: { Accept: "application/json" } });
  if (reply.status === 401) location.reload(); // The login is over; the page asks for another.
  return reply.ok ? reply.json() : null;
}

// Calls work, waits, and begins again; rests while nobody looks. Work that returns false ends it.
async function repeat(work, pause) {
  for (;;) {
    let more = true;
    try {
      if (!document.hidden) more = await work();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // The server is away.
    }
    if (more === false) return;
    await new Promise((done) => setTimeout(done, pause));
  }
}

// Plots

const color = (name) => getComputedStyle(document.body).getPropertyValue(name).trim();

// What is drawn: values as they are, of running totals what they grow by in a second.
function curveOf(points) {
  const found = [];
  let last = null;
  for (const point of points) {
    const at = Date.parse(point.date);
    const value = Number(point.value);
    if (!Number.isFinite(at) || !Number.isFinite(value)) continue;
    if (!point.cumulative) found.push([at, value]);
    else if (last) {
      const seconds = Math.max(0.001, (at - last[0]) / 1000);
      found.push([at, Math.max(0, value - last[1]) / seconds]);
    }
    last = [at, value];
  }
  return found;
}

const shown = (value) => Number(value.toPrecision(3)).toString();
const clock = (at) => new Date(at).toLocaleTimeString();

function draw(canvas, points) {
  const curve = curveOf(points);
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.dataset.points = curve.length;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = color("--soft");
  if (!curve.length) return void pen.fillText("no numbers yet", 4, 14);
  const times = curve.map((point) => point[0]);
  const values = curve.map((point) => point[1]);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  let [low, high] = [Math.min(...values, 0), Math.max(...values)];
  if (low === high) high = low + 1;
  const left = 46;
  const [bottom, top] = [height - 16, 6];
  const x = (at) => left + (width - left - 6) * (last > first ? (at - first) / (last - first) : 0.5);
  const y = (value) => bottom - (bottom - top) * ((value - low) / (high - low));
  pen.strokeStyle = color("--line");
  for (const value of [low, (low + high) / 2, high]) {
    pen.beginPath();
    pen.moveTo(left, y(value));
    pen.lineTo(width, y(value));
    pen.stroke();
    pen.fillText(shown(value), 2, y(value) + 4);
  }
  pen.fillText(clock(first), left, height - 3);
  pen.textAlign = "right";
  pen.fillText(clock(last), width - 2, height - 3);
  pen.strokeStyle = color("--accent");
  pen.lineWidth = 1.5;
  pen.beginPath();
  curve.forEach(([at, value], index) => (index ? pen.lineTo(x(at), y(value)) : pen.moveTo(x(at), y(value))));
  if (curve.length === 1) pen.arc(x(first), y(values[0]), 2, 0, 7);
  pen.stroke();
}

// Pods

function plotsOf() {
  return SMALL_PLOTS.map(([metric, label]) =>
    element("figure", {}, element("figcaption", {}, label), element("canvas", { "data-metric": metric })));
}

function cardOf(pod) {
  const link = element("a", { href: `${HOME}worker/${encodeURIComponent(pod.name)}/` }, pod.name);
  const phase = element("span", { class: "phase", "data-phase": pod.phase }, pod.phase);
  return element("article", { class: "card", "data-pod": pod.name },
    element("h2", {}, link), element("p", {}, phase, " ", element("small", {}, pod.ip)),
    element("div", { class: "plots" }));
}

function startPods() {
  const place = byId("pods");
  const known = new Map();

  async function look() {
    const pods = await fetchJson("pods/");
    if (!pods) return;
    const cards = new Map([...place.children].map((card) => [card.dataset.pod, card]));
    for (const pod of pods) {
      let card = cards.get(pod.name);
      if (!card) place.append((card = cardOf(pod)));
      cards.delete(pod.name);
      const phase = card.querySelector(".phase");
      phase.dataset.phase = phase.textContent = pod.phase;
      const plots = card.querySelector(".plots");
      if (!plots.children.length) plots.append(...plotsOf());
    }
    for (const card of cards.values()) card.remove();
  }

  async function measure() {
    for (const card of place.children) {
      const pod = card.dataset.pod;
      const state = known.get(pod) || { since: "", series: {} };
      known.set(pod, state);
      const since = state.since ? `&since=${encodeURIComponent(state.since)}` : "";
      const found = await fetchJson(`metrics/${encodeURIComponent(pod)}/?summarize=${MOST_POINTS}${since}`);
      for (const [name, points] of Object.entries(found || {})) {
        state.series[name] = [...(state.series[name] || []), ...points].slice(-MOST_POINTS);
        const last = points[points.length - 1].date;
        if (last > state.since) state.since = last;
      }
      for (const canvas of card.querySelectorAll("canvas")) draw(canvas, state.series[canvas.dataset.metric] || []);
    }
  }

  look().then(() => repeat(measure, METRICS_EVERY));
  repeat(look, PODS_EVERY);
}

// One plot of a metric that is chosen

function startGraphs(path, place) {
  const [chooser, canvas] = [place.querySelector("select"), place.querySelector("canvas")];

  async function names() {
    const latest = await fetchJson(`${path}&last_n=1`);
    const there = new Set([...chooser.options].map((option) => option.value));
    for (const name of Object.keys(latest || {})) {
      if (!there.has(name)) chooser.append(element("option", { value: name }, name));
    }
  }

  async function curve() {
    const name = chooser.value;
    if (!name) return draw(canvas, []);
    const found = await fetchJson(`${path}&summarize=${MOST_POINTS}&metric_filter=${encodeURIComponent(name)}`);
    if (chooser.value === name) draw(canvas, (found && found[name]) || []);
  }

  chooser.addEventListener("change", curve);
  return async () => {
    await names();
    await curve();
  };
}

function startWorker() {
  const pod = document.body.dataset.pod;
  const look = startGraphs(`metrics/${encodeURIComponent(pod)}/?metric_type=pod`, byId("graphs"));
  repeat(look, PODS_EVERY);
}

// One run

function startTabs() {
  const tabs = [...document.querySelectorAll('[role="tab"]')];
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      for (const each of tabs) {
        each.setAttribute("aria-selected", String(each === tab));
        byId(each.getAttribute("aria-controls")).hidden = each !== tab;
      }
      window.dispatchEvent(new Event("resize"));
    });
  }
}

function startRun() {
  const run = document.body.dataset.run;
  const graphs = startGraphs(`metrics/${run}/?metric_type=run`, byId("graphs"));
  const counts = { stdout: 0, stderr: 0 };
  startTabs();

  async function look() {
    const found = await fetchJson(`runs/${run}/`);
    if (!found) return;
    byId("state").textContent = found.state;
    byId("command").textContent = found.job_metadata.command;
    for (const stream of ["stdout", "stderr"]) {
      const fresh = found.job_metadata[stream].slice(counts[stream]);
      counts[stream] += fresh.length;
      if (fresh.length) byId(stream).firstElementChild.append(fresh.join("\n") + "\n");
    }
    await graphs();
    return !found.finished_at;
  }

  byId("delete").addEventListener("click", async (event) => {
    event.target.disabled = true;
    const reply = await fetch(`${API}runs/${run}`, { method: "DELETE" });
    if (reply.ok || reply.status === 404) return void (location.href = `${HOME}runs`);
    event.target.disabled = false;
    byId("problem").textContent = await problemOf(reply);
  });
  repeat(look, RUN_EVERY);
}

async function problemOf(reply) {
  const said = await reply.json().catch(() => ({}));
  return said.message || said.detail || `The server answered ${reply.status}.`;
}

// All runs, and the form for a new one

function startForm(form) {
  const images = JSON.parse(byId("images").textContent);
  const field = (name) => form.elements[name];

  function adapt() {
    const image = images.find((each) => each.image === field("image_name").value);
    const custom = !image;
    const ownBackend = field("backend").value === "custom_backend";
    byId("custom-image").hidden = !custom;
    byId("custom-backend").hidden = !ownBackend;
    byId("gpu").hidden = Boolean(image && !image.gpu);
    byId("horovod").hidden = !(image && image.task === "0a" && image.gpu && field("backend").value === "MPI");
    byId("workers").textContent = 2 ** field("workers_power").value;
    byId("cpus").textContent = field("num_cpus").value;
    byId("bandwidth").textContent = field("max_bandwidth").value;
    for (const option of field("backend").options) {
      option.disabled = Boolean(image && option.value !== "custom_backend" && !image.backends.includes(option.value));
    }
  }

  function wanted() {
    const data = new URLSearchParams(new FormData(form));
    data.set("num_workers", 2 ** data.get("workers_power"));
    data.delete("workers_power");
    for (const name of ["gpu_enabled", "light_target", "use_horovod", "run_all_nodes"]) {
      data.set(name, String(field(name).checked && !field(name).closest("[hidden]")));
    }
    return data;
  }

  form.addEventListener("input", adapt);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    byId("problem").textContent = "";
    const reply = await fetch(`${API}runs/`, { method: "POST", body: wanted() });
    if (!reply.ok) return void (byId("problem").textContent = await problemOf(reply));
    location.href = `${HOME}runs/${(await reply.json()).id}/`;
  });
  adapt();
}

function rowOf(run) {
  const link = element("a", { href: `${HOME}runs/${run.id}/` }, run.name);
  return element("tr", {}, element("td", {}, String(run.id)), element("td", {}, link),
    element("td", {}, run.state), element("td", {}, String(run.num_workers)), element("td", {}, run.created_at));
}

function startRuns() {
  startForm(byId("add"));
  repeat(async () => {
    const runs = await fetchJson("runs/?profile=v3");
    if (runs) byId("runs").replaceChildren(...runs.reverse().map(rowOf));
  }, PODS_EVERY);
}

({ pods: startPods, runs: startRuns, run: startRun, worker: startWorker })[document.body.dataset.page]?.();
