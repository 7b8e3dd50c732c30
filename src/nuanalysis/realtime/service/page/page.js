"use strict";
// HEALPix, NESTED order: places on the sphere of points of a pixel.  Gorski et al. 2005, ApJ 622, 759, section 4.
const Nested = (() => {
  function everySecondBit(n) {  // of numbers up to 2^53, which bit operations of this language cut off
    let found = 0, bit = 1;
    while (n > 0) { if (n % 2 >= 1) found += bit; n = Math.floor(n / 4); bit *= 2; }
    return found;
  }
  // Unit vector at (u, v), each 0 to 1, within a pixel: (0, 0) is its southern corner.
  function point(order, pixel, u, v) {
    const side = 2 ** order, inFace = side * side, face = Math.floor(pixel / inFace), within = pixel % inFace;
    const x = (everySecondBit(within) + u) / side, y = (everySecondBit(Math.floor(within / 2)) + v) / side;
    const row = Math.floor(face / 4), ring = 2 + row - x - y, reach = Math.min(ring, 4 - ring, 1);
    const z = ring < 1 ? 1 - reach * reach / 3 : ring > 3 ? reach * reach / 3 - 1 : (2 - ring) * 2 / 3;
    const column = 2 * (face % 4) + (row === 1 ? 0 : 1);
    const turn = reach < 1e-12 ? 0 : Math.PI / 4 * (column + (x - y) / reach), across = Math.sqrt(Math.max(0, (1 - z) * (1 + z)));
    return [across * Math.cos(turn), across * Math.sin(turn), z];
  }
  return { point };
})();

// Equal-area view of the sphere around a place; the first coordinate grows to the west, as maps of the sky have it.
function viewAround(ra, dec) {
  const cl = Math.cos(ra), sl = Math.sin(ra), cb = Math.cos(dec), sb = Math.sin(dec);
  return (v) => {
    const ahead = cb * cl * v[0] + cb * sl * v[1] + sb * v[2];
    const scale = Math.sqrt(2 / Math.max(1 + ahead, 1e-6));
    return [-scale * (-sl * v[0] + cl * v[1]), -scale * (-sb * cl * v[0] - sb * sl * v[1] + cb * v[2]), ahead];
  };
}
const unit = (ra, dec) => [Math.cos(dec) * Math.cos(ra), Math.cos(dec) * Math.sin(ra), Math.sin(dec)];
const RAD = Math.PI / 180;

const SVG = "http://www.w3.org/2000/svg";
function drawn(name, attributes, text) {
  const one = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) one.setAttribute(key, value);
  if (text !== undefined) one.textContent = text;
  return one;
}

const WIDE = 480, HIGH = 400, LEFT = 52, BELOW = 42, TOP = 8, RIGHT = 10;
const nice = (span) => [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 45].find((step) => span / step <= 5) ?? 45;
const degrees = (value, step) => `${value.toFixed(step < 0.1 ? 2 : step < 1 ? (step === 0.25 ? 2 : 1) : 0)}°`;

// The map of leaves {order, ipix, ts, levels} around (ra, dec), deg.
function skyMap(leaves, raDeg, decDeg, label) {
  const [ra, dec] = [raDeg * RAD, decDeg * RAD], view = viewAround(ra, dec);
  const corners = [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [0.5, 1], [0, 1], [0, 0.5]];
  const polygons = leaves.ipix.map((pixel, i) => corners.map(([u, v]) => view(Nested.point(leaves.order[i], pixel, u, v))));
  let reach = 1 * RAD;
  polygons.forEach((polygon, i) => {
    if (leaves.ts[i] <= leaves.levels[1]) for (const [x, y] of polygon) reach = Math.max(reach, Math.abs(x), Math.abs(y));
  });
  reach = Math.min(1.25 * reach, 1.3);
  const wide = WIDE - LEFT - RIGHT, high = HIGH - TOP - BELOW, scale = Math.min(wide, high) / 2 / reach;
  const at = ([x, y]) => [LEFT + wide / 2 + scale * x, TOP + high / 2 + scale * y];
  const svg = drawn("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, class: "map", role: "img" });
  svg.append(drawn("title", {}, label));
  const id = `clip${skyMap.count = (skyMap.count ?? 0) + 1}`, clip = drawn("clipPath", { id });
  clip.append(drawn("rect", { x: LEFT, y: TOP, width: wide, height: high }));
  const inside = drawn("g", { "clip-path": `url(#${id})` });
  polygons.forEach((polygon, i) => {
    if (polygon.some((p) => p[2] < -0.6)) return;  // where the view tears
    const points = polygon.map(at);
    if (points.every(([x]) => x < LEFT) || points.every(([x]) => x > WIDE) || points.every(([, y]) => y < 0) || points.every(([, y]) => y > HIGH)) return;
    const [half, most] = leaves.levels, ts = leaves.ts[i];
    const kind = ts <= half ? "in50" : ts <= most ? "in90" : ts <= 3 * most ? "near" : "far";
    inside.append(drawn("polygon", { class: `leaf ${kind}`, points: points.map((p) => p.map((c) => c.toFixed(1)).join(",")).join(" ") }));
  });
  const frame = { left: LEFT, right: LEFT + wide, top: TOP, bottom: TOP + high };
  svg.append(clip, inside);
  grid(svg, inside, view, at, frame, raDeg, decDeg, Math.min(88, 2 * wide / Math.min(wide, high) * reach / RAD));
  const [x, y] = at([0, 0]);
  inside.append(drawn("path", { class: "best", d: `M${x - 7} ${y}H${x + 7}M${x} ${y - 7}V${y + 7}` }));
  svg.append(drawn("rect", { class: "frame", x: LEFT, y: TOP, width: wide, height: high }));
  svg.append(drawn("text", { x: LEFT + wide / 2, y: HIGH - 6, "text-anchor": "middle" }, "right ascension (ICRS)"));
  svg.append(drawn("text", { x: 13, y: TOP + high / 2, "text-anchor": "middle", transform: `rotate(-90 13 ${TOP + high / 2})` }, "declination"));
  return svg;
}

// Lines of equal right ascension and declination, each named where it leaves the frame.
function grid(svg, inside, view, at, frame, raDeg, decDeg, span) {
  const stepDec = nice(span), cosine = Math.max(Math.cos(decDeg * RAD), 0.05), stepRa = nice(Math.min(span / cosine, 225));
  const low = Math.max(-90, decDeg - span), high = Math.min(90, decDeg + span);
  const halfRa = Math.min(180, span / cosine);
  const line = (places) => places.map(view).filter((p) => p[2] > -0.5).map(at);
  const path = (points) => { if (points.length > 1) inside.append(drawn("polyline", { class: "grid", points: points.map((p) => p.map((c) => c.toFixed(1)).join(",")).join(" ") })); };
  const range = (from, to, n) => Array.from({ length: n + 1 }, (_, k) => from + (to - from) * k / n);
  for (let value = Math.ceil(low / stepDec) * stepDec; value <= high; value += stepDec) {
    const points = line(range(raDeg - halfRa, raDeg + halfRa, 120).map((one) => unit(one * RAD, value * RAD)));
    path(points);
    const cut = crossing(points, 0, frame.left);
    if (cut !== null && cut > frame.top + 6 && cut < frame.bottom - 2) svg.append(drawn("text", { x: frame.left - 4, y: cut + 4, "text-anchor": "end" }, degrees(value + 0, stepDec).replace("-", "−")));
  }
  const named = [];
  for (let k = Math.ceil((raDeg - halfRa) / stepRa); k * stepRa < raDeg + halfRa; k++) {
    const points = line(range(Math.max(low, -89.9), Math.min(high, 89.9), 120).map((one) => unit(k * stepRa * RAD, one * RAD)));
    path(points);
    const cut = crossing(points, 1, frame.bottom), value = ((k * stepRa) % 360 + 360) % 360;
    if (cut !== null && cut > frame.left + 14 && cut < frame.right - 14 && named.every((one) => Math.abs(one - cut) > 44)) {
      named.push(cut);
      svg.append(drawn("text", { x: cut, y: frame.bottom + 16, "text-anchor": "middle" }, degrees(value, stepRa)));
    }
  }
}

// Where a line crosses axis = value; the other coordinate, or null.
function crossing(points, axis, value) {
  for (let k = 1; k < points.length; k++) {
    const a = points[k - 1], b = points[k];
    if ((a[axis] - value) * (b[axis] - value) <= 0 && a[axis] !== b[axis]) {
      return a[1 - axis] + (b[1 - axis] - a[1 - axis]) * (value - a[axis]) / (b[axis] - a[axis]);
    }
  }
  return null;
}

// ---- what the service says ----------------------------------------------------------------------------------------
const byId = (id) => document.getElementById(id);
let token = sessionStorage.getItem("token") ?? "";

class Told extends Error {}
async function ask(path, options = {}) {
  const headers = { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...(options.headers ?? {}) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.status === 401) { byId("ask").hidden = false; throw new Told("a token is needed"); }
  if (answer.status === 429) {
    await new Promise((go) => setTimeout(go, 1000 * Number(answer.headers.get("Retry-After") ?? 5)));
    throw new Told("asked too often, waiting");
  }
  if (!answer.ok) throw new Told(`${answer.status}: ${(await answer.json().catch(() => ({}))).detail ?? answer.statusText}`);
  byId("ask").hidden = true;
  return answer;
}
const json = async (path) => (await ask(path)).json();

function element(name, attributes = {}, ...children) {
  const one = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") one.addEventListener("click", value); else one.setAttribute(key, value);
  }
  one.append(...children);
  return one;
}
const badge = (kind) => element("span", { class: `badge ${kind}` }, kind.toUpperCase());
const time = (text) => text.replace("T", " ").replace(/\.\d+Z$/, " UTC");
const event = (manifest) => `run ${manifest.request.event.run}, event ${manifest.request.event.event}`;
const facts = (pairs) => element("dl", {}, ...pairs.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));

const manifests = new Map();  // of requests, which do not change
async function manifestOf(status) {
  if (!manifests.has(status.id)) manifests.set(status.id, await json(`/v1/scans/${status.id}`));
  return manifests.get(status.id);
}
const drawings = new Map();  // scan -> {etag, nodes}
async function drawingOf(id) {
  const known = drawings.get(id), answer = await json(`/v1/scans/${id}/result`);
  const part = answer.files.find((file) => file.name === "leaves.json"), mark = `${part.sha256}${answer.is_final}`;
  if (known?.mark === mark) return known;
  const leaves = await json(part.href);
  const where = `${answer.right_ascension_deg.toFixed(2)}°, ${answer.declination_deg.toFixed(2)}°`.replaceAll("-", "−");
  const nodes = [
    skyMap(leaves, answer.right_ascension_deg, answer.declination_deg, `Map of ${leaves.ipix.length} leaves around ${where}`),
    element("div", { class: "key" }, ...[["in50", "inside 50 %"], ["in90", "inside 90 %"], ["near", `TS up to ${(3 * leaves.levels[1]).toPrecision(3)}`], ["far", "above"], ["best", "best"]].map(([kind, said]) => element("span", { class: kind }, said))),
    facts([
      ["best position", `${where} (right ascension, declination)`],
      ["area 50 %, 90 %", `${answer.area_50_deg2.toPrecision(3)}, ${answer.area_90_deg2.toPrecision(3)} deg²${answer.is_final ? "" : ", preliminary"}`],
      ["pixels", `${answer.pixels_done}, round ${answer.round}${answer.is_final && !answer.complete ? "; ended by its budget" : ""}`],
    ]),
    ...(answer.note ? [element("p", { class: "note" }, answer.note)] : []),
    element("div", { class: "files" }, ...answer.files.map((file) => element("button", { type: "button", onclick: () => save(file) }, file.name))),
  ];
  drawings.set(id, { mark, nodes });
  return drawings.get(id);
}
async function save(file) {
  const data = await (await ask(file.href)).blob(), address = URL.createObjectURL(data);
  element("a", { href: address, download: file.name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

async function card(status) {
  const manifest = await manifestOf(status), progress = status.progress;
  const bar = element("progress", { max: progress.pixels_expected ?? 1, "aria-label": "pixels done" });
  if (progress.pixels_expected) bar.value = progress.pixels_done;
  const cause = status.cause ? `, ${status.cause}` : "";
  const again = status.attempt > 1 ? `, attempt ${status.attempt}` : "";
  const one = element("article", { class: "card" }, element("h3", {}, event(manifest), " ", badge(manifest.request.real_or_simulated)),
    element("p", { class: "soft" }, `${status.state}${cause}${again} since ${time(status.since)}`));
  if (!status.is_final) one.append(bar);
  if (status.has_result) one.append(...(await drawingOf(status.id)).nodes);
  else one.append(element("p", { class: "soft" }, status.is_final ? "no result" : "no round is done yet"));
  return one;
}

let chosen = null;
function table(rows, pick) {
  if (!rows.length) return element("p", { class: "soft" }, "none");
  const head = ["event", "data", "state", "priority", "since", "words"];
  const body = rows.map(([status, manifest]) => element("tr", {},
    element("td", {}, pick && status.has_result ? element("button", { type: "button", onclick: () => { chosen = status.id; refresh(); } }, event(manifest)) : event(manifest)),
    element("td", {}, badge(manifest.request.real_or_simulated)), element("td", {}, status.state),
    element("td", {}, String(status.priority)), element("td", {}, time(status.since)), element("td", { class: "words" }, status.cause || "–")));
  return element("div", { class: "scroll", tabindex: "0" }, element("table", {}, element("thead", {}, element("tr", {}, ...head.map((name) => element("th", { scope: "col" }, name)))), element("tbody", {}, ...body)));
}

let busy = false, again = false, last = 0;
const EVERY = 4000;  // ms between two looks: a client has 60 requests in a minute
async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const [queue, recent] = [await json("/v1/queue"), await json("/v1/scans?limit=20")];
    const done = recent.scans.filter((status) => status.is_final);
    const waiting = [], finished = [];
    for (const status of queue.waiting) waiting.push([status, await manifestOf(status)]);
    for (const status of done) finished.push([status, await manifestOf(status)]);
    byId("working").replaceChildren(...(queue.working.length ? await Promise.all(queue.working.map(card)) : [element("p", { class: "soft" }, "nothing")]));
    byId("waiting").replaceChildren(table(waiting, false));
    byId("finished").replaceChildren(table(finished, true));
    const shown = done.find((status) => status.id === chosen) ?? done.find((status) => status.has_result);
    byId("chosen").replaceChildren(...(shown ? [await card(shown)] : []));
    byId("line").textContent = `${queue.working.length} being scanned (${queue.slots} slots, ${queue.slots_realtime} more for realtime), ${queue.waiting.length} waiting`;
    document.body.dataset.ready = "yes";
  } catch (error) {
    byId("line").textContent = error instanceof Told ? error.message : `no connection: ${error.message}`;
  } finally {
    busy = false;
    last = Date.now();
    if (again) { again = false; later(); }
  }
}
let timer = null;
function later() {
  if (timer === null) timer = setTimeout(() => { timer = null; refresh(); }, Math.max(0, EVERY - (Date.now() - last)));
}
// Server-sent events by hand: the browser's own reader cannot send a token but in the address.
async function follow() {
  for (;;) {
    try {
      const reader = (await ask("/v1/events")).body.getReader(), decoder = new TextDecoder();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        if (decoder.decode(value, { stream: true }).includes("data:")) later();
      }
    } catch (error) { /* the next round says what is wrong */ }
    await new Promise((go) => setTimeout(go, 3000));
    later();
  }
}
byId("ask").addEventListener("submit", (happened) => {
  happened.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  sessionStorage.setItem("token", token);
  refresh();
});
refresh();
follow();
