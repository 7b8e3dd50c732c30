"use strict";
// The page's only state is `view`; whatever changes it calls show(), which draws, fills the texts and writes the hash.
(() => {
  const DATA = JSON.parse(document.getElementById("data").textContent);
  const byId = (name) => document.getElementById(name);
  const canvas = byId("sky"), pen = canvas.getContext("2d"), bar = byId("bar"), barPen = bar.getContext("2d");
  const DEG = Math.PI / 180, NARROWEST = 0.5, DRAG = 5, NONE = -1;
  const { times, turned, product, vector, angles } = Projection;
  const UNIT = [1, 0, 0, 0, 1, 0, 0, 0, 1];
  const FRAMES = {
    galactic: { fromIcrs: DATA.to_galactic, middle: 0, longitude: "l", latitude: "b", name: "Galactic", axes: "Galactic longitude l and latitude b" },
    equatorial: { fromIcrs: UNIT, middle: 180, longitude: "RA", latitude: "Dec", name: "Equatorial", axes: "right ascension and declination (ICRS)" },
  };

  // ---- layers and markers ---------------------------------------------------------------------------------------

  function decoded(layer) {
    const bytes = Uint8Array.from(atob(layer.codes), (c) => c.charCodeAt(0));
    if (layer.bits === 8) return bytes;
    const out = new Uint16Array(bytes.length / 2);
    for (let k = 0; k < out.length; k++) out[k] = bytes[2 * k] | (bytes[2 * k + 1] << 8);
    return out;
  }
  // On the colour scale: the value itself, or its log10; null where the map has none.
  const onScale = (layer, code) => code === 0 ? null : layer.offset + (code - layer.zero) * layer.step;
  function valueOf(layer, code) {
    if (code === 0) return NaN;
    if (layer.scale === "log") return code < layer.zero ? 0 : 10 ** onScale(layer, code);
    return onScale(layer, code);
  }
  function colours(layer) {
    const table = DATA.colours[layer.scale === "signed" ? "diverging" : "sequential"];
    const out = new Uint32Array(2 ** layer.bits);
    for (let code = 1; code < out.length; code++) {
      const at = Math.floor(256 * (onScale(layer, code) - layer.low) / (layer.high - layer.low));
      const hex = parseInt(table.substr(6 * Math.max(0, Math.min(255, at)), 6), 16);
      out[code] = 0xff000000 | (hex & 0xff) << 16 | (hex & 0xff00) | hex >> 16;
    }
    return out;
  }
  const layers = DATA.layers.map((layer) => {
    const made = { ...layer, codes: decoded(layer) };
    return { ...made, colours: colours(made), blank: made.codes.includes(0) };
  });
  const markers = DATA.markers.map((one) => ({ ...one, direction: vector(one.ra * DEG, one.dec * DEG) }));
  const shapes = DATA.symbols.map((text) => new Path2D(text));
  const rows = () => [...document.querySelectorAll("#markers tbody tr")];
  const order = () => rows().map((row) => Number(row.dataset.marker)).filter((k) => !view.hidden.has(markers[k].kind));

  // ---- numbers as text ------------------------------------------------------------------------------------------

  const raised = (n) => String(n).replace(/[-\d]/g, (c) => c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]);
  function digits(value, significant) {
    if (value === 0) return "0";
    const size = Math.floor(Math.log10(Math.abs(value)) + 1e-9);
    const exponential = size >= 5 || size < -3;
    const [body, power] = (exponential ? value.toExponential(significant - 1) : value.toFixed(Math.max(0, significant - 1 - size))).split("e");
    const plain = body.replace("-", "−");
    return power === undefined ? plain : `${plain} × 10${raised(Number(power))}`;
  }
  // No more digits than the stored step supports.
  function valueText(layer, code) {
    const value = valueOf(layer, code);
    if (Number.isNaN(value)) return "no value";
    if (value === 0) return `0 ${layer.unit}`;
    const step = layer.scale === "log" ? Math.abs(value) * Math.LN10 * layer.step : layer.step;
    const kept = step > 0 ? Math.floor(Math.log10(Math.abs(value)) + 1e-9) - Math.ceil(Math.log10(step)) + 1 : 4;
    return `${digits(value, Math.max(1, Math.min(4, kept)))} ${layer.unit}`.trim();
  }
  function signed(degrees, places) {
    const text = Math.abs(degrees).toFixed(places);
    return Number(text) === 0 ? text : (degrees < 0 ? "−" : "+") + text;
  }
  const positive = (degrees) => ((degrees % 360) + 360) % 360;
  const around = (degrees, places) => (positive(degrees) >= 360 - 0.5 / 10 ** places ? 0 : positive(degrees)).toFixed(places);
  function placeText(direction) {
    const [ra, dec] = angles(direction), [l, b] = angles(times(DATA.to_galactic, direction));
    return `RA ${around(ra / DEG, 2)}° Dec ${signed(dec / DEG, 2)}° · l ${around(l / DEG, 2)}° b ${signed(b / DEG, 2)}°`;
  }

  function placeRows(direction) {
    const [ra, dec] = angles(direction), [l, b] = angles(times(DATA.to_galactic, direction));
    const pair = (x, y) => `${around(x / DEG, 3)}°, ${signed(y / DEG, 3)}°`;
    return [["RA, Dec (ICRS)", pair(ra, dec)], ["l, b (Galactic)", pair(l, b)]];
  }

  // ---- the view -------------------------------------------------------------------------------------------------

  // On a narrow screen the whole sky would be a strip: it begins with the inner half, and without names on the plane.
  const NARROW = 600, INNER = 200, narrow = () => innerWidth > 0 && innerWidth < NARROW;  // 0 where a page around it has not laid it out
  const fresh = () => ({ layer: 0, frame: "galactic", projection: "hammer", lon: 0, lat: 0, fov: narrow() ? INNER : 360, open: NONE, at: null, labels: !narrow(), zero: true, hidden: new Set() });
  let view = fresh();
  let aimed = NONE, leaving = false, coarse = 1, size = { width: 0, height: 0, ratio: 1 };

  const projection = () => Projection[view.projection];
  // CSS pixels per unit of the plane; at 360 degrees the ellipse fits with room for its numbers.
  function scale() {
    const room = size.width >= NARROW ? 40 : view.fov < 360 ? 6 : 30;
    return Math.min(size.width / 2 - room, size.height - 24) / projection().halfWidth(view.fov * DEG);
  }
  // ICRS to view vectors.
  const rotation = () => product(Projection.basis(view.lon * DEG, view.lat * DEG), FRAMES[view.frame].fromIcrs);
  function toScreen(m, direction, out) {
    const [x, y, z] = times(m, direction);
    if (!projection().toPlane(x, y, z, out)) return false;
    const unit = scale();
    out[0] = size.width / 2 - out[0] * unit;
    out[1] = size.height / 2 - out[1] * unit;
    return true;
  }
  function fromScreen(sx, sy) {
    const unit = scale(), out = [0, 0, 0];
    const seen = projection().toSphere((size.width / 2 - sx) / unit, (size.height / 2 - sy) / unit, out);
    return seen ? times(turned(rotation()), out) : null;
  }
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  function moveBy(dx, dy) {  // CSS pixels that the sky moves to the right and down
    const unit = scale() * DEG;
    view.lat = clamp(view.lat + dy / unit, -90, 90);
    view.lon = positive(view.lon + dx / unit / Math.max(0.2, Math.cos(view.lat * DEG)));
  }
  function zoomBy(factor, sx = size.width / 2, sy = size.height / 2) {
    const before = scale(), fov = clamp(view.fov * factor, NARROWEST, projection().widest);
    if (fov === view.fov) return false;
    view.fov = fov;
    const grown = scale() / before - 1;
    moveBy((size.width / 2 - sx) * grown, (size.height / 2 - sy) * grown);
    if (fov === 360) reset();  // what was zoomed out of should be the map one knows
    return true;
  }
  function reset() { Object.assign(view, { lon: FRAMES[view.frame].middle, lat: 0, fov: projection().widest }); }
  function lookAt(direction) {
    const [lon, lat] = angles(times(FRAMES[view.frame].fromIcrs, direction));
    view.lon = positive(lon / DEG);
    view.lat = lat / DEG;
  }
  function setFrame(frame) {
    if (frame === view.frame) return;
    const middle = times(turned(FRAMES[view.frame].fromIcrs), vector(view.lon * DEG, view.lat * DEG));
    view.frame = frame;
    if (view.fov >= 200) reset(); else lookAt(middle);
  }
  function setProjection(name) {
    if (name === view.projection) return;
    view.projection = name;
    if (name === "gnomonic") view.fov = Math.min(view.fov, 60);
  }
  function onMap(direction) {
    const out = [0, 0];
    return toScreen(rotation(), direction, out) && out[0] > 10 && out[0] < size.width - 10 && out[1] > 10 && out[1] < size.height - 10;
  }

  // ---- drawing --------------------------------------------------------------------------------------------------

  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function paint() {
    const layer = layers[view.layer], { nside, codes, colours: table } = layer;
    const density = size.ratio / coarse;
    const width = Math.max(1, Math.round(size.width * density)), height = Math.max(1, Math.round(size.height * density));
    const image = new ImageData(width, height), pixels = new Uint32Array(image.data.buffer);
    const [a, b, c, d, e, f, g, h, i] = rotation(), unit = scale(), out = [0, 0, 0], view_ = projection();
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const [hatch, gap] = dark ? [0xff4a4540, 0xff2b2724] : [0xffb4b4b4, 0xffe6e6e6];
    const middle = layer.scale === "signed" && view.zero ? layer.zero : NONE;
    const above = new Int8Array(width);  // sign of the pixel above, for the line of zero
    for (let row = 0, k = 0; row < height; row++) {
      const q = (size.height / 2 - (row + 0.5) / density) / unit;
      let left = 0;
      for (let column = 0; column < width; column++, k++) {
        const p = (size.width / 2 - (column + 0.5) / density) / unit;
        if (!view_.toSphere(p, q, out)) { left = above[column] = 0; continue; }
        const [x, y, z] = out;
        const code = codes[Healpix.pixelOf(nside, a * x + d * y + g * z, b * x + e * y + h * z, c * x + f * y + i * z)];
        pixels[k] = code ? table[code] : ((row + column) >> 2) & 1 ? hatch : gap;
        if (middle !== NONE) {
          const sign = code === 0 ? 0 : Math.sign(code - middle);
          if (sign * left < 0 || sign * above[column] < 0) pixels[k] = 0xff6a6a6a;
          left = above[column] = sign;
        }
      }
    }
    const behind = document.createElement("canvas");
    behind.width = width;
    behind.height = height;
    behind.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(behind, 0, 0, size.width, size.height);
  }

  // A line through the sky, from points of the frame in degrees; broken where it leaves the map or runs over its edge.
  function line(points) {
    const m = Projection.basis(view.lon * DEG, view.lat * DEG), out = [0, 0], unit = scale();
    let last = null;
    pen.beginPath();
    for (const [lon, lat] of points) {
      const [x, y, z] = times(m, vector(lon * DEG, lat * DEG));
      if (!projection().toPlane(x, y, z, out)) { last = null; continue; }
      const over = last !== null && x < 0 && y * last < 0;  // from one side of the meridian behind us to the other
      pen[last === null || over ? "moveTo" : "lineTo"](size.width / 2 - out[0] * unit, size.height / 2 - out[1] * unit);
      last = y;
    }
    pen.stroke();
  }
  const range = (from, to, step) => Array.from({ length: Math.max(0, Math.round((to - from) / step)) + 1 }, (_, k) => from + k * step);
  const NUMBERS_AT = -45;  // latitude of the longitudes written on the whole sky: the plane itself stays free
  const STEPS = [30, 15, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05];
  function graticule() {
    const step = view.fov >= 200 ? 30 : STEPS.find((s) => view.fov / s >= 4) ?? 0.05;
    const reach = Math.min(180, view.fov * Math.max(0.75, 0.75 * size.height / size.width) + step);
    const south = Math.max(-90, view.lat - reach), north = Math.min(90, view.lat + reach);
    const turn = Math.min(180, Math.max(Math.abs(south), Math.abs(north)) > 88 ? 180 : reach / Math.cos(Math.max(Math.abs(south), Math.abs(north)) * DEG));
    // A hair inside the half turn: the two edges of the ellipse are the same meridian.
    const west = view.lon - turn + 1e-6, east = view.lon + turn - 1e-6;
    const multiples = (low, high) => range(Math.ceil(low / step), Math.floor(high / step), 1).map((k) => k * step);
    const parallels = multiples(south, north).filter((lat) => Math.abs(lat) < 90);
    const meridians = multiples(west, east);
    const polar = step >= 30 ? 0 : step;
    pen.strokeStyle = layers[view.layer].scale === "signed" ? "rgba(0,0,0,.28)" : "rgba(255,255,255,.38)";
    pen.lineWidth = 1;
    for (const lat of parallels) line(range(west, east, (east - west) / 240).map((lon) => [lon, lat]));
    for (const lon of meridians) line(range(Math.max(south, polar - 90), Math.min(north, 90 - polar), (Math.min(north, 90 - polar) - Math.max(south, polar - 90)) / 120).map((lat) => [lon, lat]));
    return { step, parallels, meridians };
  }
  function outline() {
    if (view.projection !== "hammer") return;
    const unit = scale();
    pen.strokeStyle = ink("--soft");
    pen.lineWidth = 1.2;
    pen.beginPath();
    pen.ellipse(size.width / 2, size.height / 2, 2 * Math.SQRT2 * unit, Math.SQRT2 * unit, 0, 0, 2 * Math.PI);
    pen.stroke();
  }
  function plane(boxes) {
    if (view.frame !== "equatorial") return;
    const back = turned(DATA.to_galactic);
    const points = range(0, 360, 0.5).map((l) => angles(times(back, vector(l * DEG, 0))).map((a) => a / DEG));
    for (const [colour, width, dash] of [["rgba(0,0,0,.75)", 3.4, []], ["#ffffff", 1.6, [7, 4]]]) {
      pen.setLineDash(dash);
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      line(points);
    }
    pen.setLineDash([]);
    cross(times(back, [1, 0, 0]), 7, "#ffffff");
    const at = (l, out = [0, 0]) => toScreen(rotation(), times(back, vector(l * DEG, 0)), out) && out;
    const centre = at(0);
    if (centre && onMap(times(back, [1, 0, 0]))) words("Galactic Centre", centre[0], centre[1] + 17, { boxes });
    const named = [120, 60, 90, 30, 330, 300, 270, 240, 180, 10, 350].filter((l) => onMap(times(back, vector(l * DEG, 0))));
    named.some((l) => { const [x, y] = at(l); return words("Galactic plane", x, y - 12, { boxes }); });
  }
  // Words that can be read on any colour; with `boxes`, only where nothing else stands.  True if written.
  function words(text, x, y, { align = "center", boxes = null, size: letters = 12, onPaper = false } = {}) {
    pen.font = `${letters}px system-ui, "DejaVu Sans", sans-serif`;
    const width = pen.measureText(text).width + 6, height = letters + 5;
    y = clamp(y, height / 2, size.height - height / 2);
    const start = align === "center" ? x - width / 2 : align === "right" ? x - width : x;
    const box = [clamp(start, 0, Math.max(0, size.width - width)), y - height / 2, width, height];
    if (boxes && boxes.some((o) => box[0] < o[0] + o[2] && o[0] < box[0] + width && box[1] < o[1] + o[3] && o[1] < box[1] + height)) return false;
    if (boxes) boxes.push(box);
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    if (!onPaper) {
      pen.fillStyle = "rgba(0,0,0,.62)";
      pen.beginPath();
      pen.roundRect(...box, 3);
      pen.fill();
    }
    pen.fillStyle = onPaper ? ink("--ink") : "#ffffff";
    pen.fillText(text, box[0] + 3, y + 0.5);
    return true;
  }
  function axisNumbers({ step, parallels, meridians }, boxes) {
    const frame = FRAMES[view.frame], places = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    const lonText = (lon) => `${around(lon, places)}°`, latText = (lat) => lat === 0 ? "0°" : `${signed(lat, places)}°`;
    const m = Projection.basis(view.lon * DEG, view.lat * DEG), out = [0, 0], unit = scale();
    const whole = view.projection === "hammer" && size.height / 2 / unit > Math.SQRT2;
    const small = size.width < 600 ? 11 : 12;
    if (whole) {
      const all = size.width / 2 / unit > 2 * Math.SQRT2 && view.lat === 0;
      const every = size.width < 600 ? 60 : 30;
      for (const lon of meridians.filter((lon) => Math.round(lon) % every === 0 && Math.abs(lon - view.lon) < 175))
        if (toScreen(m, vector(lon * DEG, NUMBERS_AT * DEG), out)) words(lonText(lon), out[0], out[1], { boxes, size: small });
      for (const lat of parallels) {
        if (!toScreen(m, vector((view.lon + (all ? 179.999 : 0)) * DEG, lat * DEG), out)) continue;
        words(latText(lat), out[0] - (all ? 3 : 0), out[1], { boxes, size: small, align: all ? "right" : "center", onPaper: all });
      }
    } else {
      edge(range(0, size.width, 2).map((x) => [x, size.height - 14]), 0, step, (value, x, y) => words(lonText(value), x, y, { boxes, size: small }));
      let named = 0;
      edge(range(0, size.height - 26, 2).map((y) => [3, y]), 1, step, (value, x, y) => { named += words(latText(value), x, y, { boxes, size: small, align: "left" }); });
      // Around a pole no parallel need reach the edge.
      if (named < 2) for (const lat of parallels) if (toScreen(m, vector(view.lon * DEG, lat * DEG), out) && out[1] > 0 && out[1] < size.height) words(latText(lat), out[0], out[1], { boxes, size: small });
    }
    words(`← ${frame.longitude}`, size.width - 4, size.height - (whole ? 10 : 34), { align: "right", boxes, onPaper: whole });
    words(`${frame.latitude} ↑`, 4, whole ? size.height - 10 : 12, { align: "left", boxes, onPaper: whole });
  }
  // Where a multiple of `step` of longitude (which = 0) or latitude (1) crosses a line of screen points.
  function edge(points, which, step, found) {
    let last = null;
    for (const [x, y] of points) {
      const direction = fromScreen(x, y);
      if (!direction) { last = null; continue; }
      let value = angles(times(FRAMES[view.frame].fromIcrs, direction))[which] / DEG;
      if (which === 0 && last !== null) value = last + (positive(value - last + 180) - 180);
      if (last !== null && Math.abs(value - last) < 20 && Math.floor(value / step) !== Math.floor(last / step))
        found(Math.max(Math.floor(value / step), Math.floor(last / step)) * step, x, y);
      last = value;
    }
  }
  function symbol(x, y, shape, radius, chosen) {
    pen.save();
    pen.translate(x, y);
    pen.scale(radius, radius);
    const light = layers[view.layer].scale === "signed";  // the map itself is bright
    for (const [colour, width] of [[light && !chosen ? "#ffffff" : "rgba(0,0,0,.85)", 4.6], [chosen ? "#ffd23f" : light ? "#000000" : "#ffffff", 2.2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width / radius;
      pen.stroke(shape);
    }
    pen.restore();
  }
  function ring(one) {  // the extension (Gaussian sigma) of a source, true to the projection
    const [lon, lat] = angles(times(FRAMES[view.frame].fromIcrs, one.direction)), sigma = one.extension * DEG;
    const local = turned(Projection.basis(lon, lat));
    const points = range(0, 360, 6).map((t) => angles(times(local, [Math.cos(sigma), Math.sin(sigma) * Math.sin(t * DEG), Math.sin(sigma) * Math.cos(t * DEG)])).map((a) => a / DEG));
    for (const [colour, width] of [["rgba(0,0,0,.7)", 2.6], ["#ffffff", 1.2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = width;
      line(points);
    }
  }
  function drawMarkers(boxes) {
    const m = rotation(), shown = [];
    const first = order().sort((a, b) => (b === view.open || b === aimed) - (a === view.open || a === aimed));
    for (const k of first) {
      const one = markers[k], out = [0, 0];
      if (!toScreen(m, one.direction, out) || out[0] < -9 || out[1] < -9 || out[0] > size.width + 9 || out[1] > size.height + 9) continue;
      if (one.extension > 0 && one.extension * DEG * scale() > 8) ring(one);
      shown.push({ k, x: out[0], y: out[1] });
    }
    for (const { k, x, y } of [...shown].reverse()) symbol(x, y, shapes[markers[k].symbol], k === view.open || k === aimed ? 8 : 5.5, k === view.open || k === aimed);
    for (const { x, y } of shown) boxes.push([x - 6, y - 6, 12, 12]);
    for (const { k, x, y } of shown) {
      if (!view.labels && k !== view.open && k !== aimed) continue;
      const name = markers[k].name, text = name.length > 30 ? `${name.slice(0, 29)}…` : name;
      const free = [[11, 0, "left"], [-11, 0, "right"], [0, -16, "center"], [0, 16, "center"]].some(([dx, dy, align]) => words(text, x + dx, y + dy, { align, boxes }));
      if (!free && (k === view.open || k === aimed)) words(text, x, y + (y > size.height / 2 ? -18 : 18));
    }
  }
  function cross(direction, reach, colour = "#ffd23f") {
    const out = [0, 0];
    if (!toScreen(rotation(), direction, out)) return;
    for (const [ink_, width] of [["#000000", 4], [colour, 2]]) {
      pen.strokeStyle = ink_;
      pen.lineWidth = width;
      pen.beginPath();
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { pen.moveTo(out[0] + 4 * dx, out[1] + 4 * dy); pen.lineTo(out[0] + reach * dx, out[1] + reach * dy); }
      pen.stroke();
    }
  }
  function stamp() {  // on the picture itself, so that a saved one still says it
    const origin = layers[view.layer].origin, text = { synthetic: "SYNTHETIC", model: "MODEL", real: "REAL" }[origin];
    pen.font = '700 13px system-ui, "DejaVu Sans", sans-serif';
    const width = pen.measureText(text).width + 14, x = size.width - width - 2;
    pen.fillStyle = ink(origin === "synthetic" ? "--mark" : origin === "real" ? "--real" : "--band");
    pen.strokeStyle = ink(origin === "synthetic" ? "--mark-line" : origin === "real" ? "--real-line" : "--soft");
    pen.lineWidth = 1;
    pen.fillRect(x, 2, width, 22);
    pen.strokeRect(x, 2, width, 22);
    pen.fillStyle = ink(origin === "synthetic" ? "--mark-ink" : origin === "real" ? "--real-ink" : "--ink");
    pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillText(text, x + 7, 13.5);
    return [x, 2, width, 22];
  }
  function draw() {
    if (!size.width) return;  // inside a page that has not laid it out yet
    pen.setTransform(size.ratio, 0, 0, size.ratio, 0, 0);
    pen.clearRect(0, 0, size.width, size.height);
    const boxes = [];
    paint();
    const lines = graticule();
    outline();
    boxes.push(stamp());
    axisNumbers(lines, boxes);
    plane(boxes);
    drawMarkers(boxes);
    if (view.at) cross(view.at, 14);
    stamp();
    if (document.activeElement === canvas && canvas.matches(":focus-visible") && aimed === NONE) cross(fromScreen(size.width / 2, size.height / 2), 10);
  }

  function niceTicks(low, high) {
    const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
    const step = power * [1, 2, 5, 10].find((f) => f * power >= raw * 0.999);
    const top = Math.floor(Math.log10(Math.max(Math.abs(low), Math.abs(high))) + 1e-9), last = Math.floor(Math.log10(step) + 1e-9);
    const shared = top >= 5 || top < -3 ? top : 0;  // one power of ten for all, where the numbers would be long
    const text = (v) => `${(v / 10 ** shared).toFixed(Math.max(0, shared - last)).replace("-", "−")}${shared ? ` × 10${raised(shared)}` : ""}`;
    return range(Math.ceil(low / step - 1e-9), Math.floor(high / step + 1e-9), 1).map((k) => ({ at: k * step, text: k ? text(k * step) : "0" }));
  }
  function logTicks(low, high) {
    const ticks = range(Math.ceil(low - 1e-9), Math.floor(high + 1e-9), 1).map((k) => ({ at: k, text: Math.abs(k) < 4 ? String(10 ** Math.round(k)).replace("-", "−") : `10${raised(Math.round(k))}` }));
    if (ticks.length > 3) return ticks;
    return range(Math.floor(low), Math.ceil(high), 1).flatMap((k) => [1, 2, 5].map((f) => f * 10 ** k))
      .filter((v) => Math.log10(v) >= low - 1e-9 && Math.log10(v) <= high + 1e-9).map((v) => ({ at: Math.log10(v), text: v >= 1e-3 && v < 1e4 ? String(Number(v.toPrecision(1))) : digits(v, 1) }));
  }
  function drawBar() {
    const layer = layers[view.layer], width = bar.clientWidth, above = layer.marks.length ? 16 : 0, height = 40 + above, ratio = size.ratio;
    if (!width) return;
    bar.width = Math.round(width * ratio);
    bar.height = Math.round(height * ratio);
    bar.style.height = `${height}px`;
    barPen.setTransform(ratio, 0, 0, ratio, 0, above * ratio);
    const left = 26, right = width - 26, table = DATA.colours[layer.scale === "signed" ? "diverging" : "sequential"];
    for (let x = 0; x < Math.round((right - left) * ratio); x++) {  // whole pixels of the screen: no seams
      const k = Math.min(255, Math.floor(256 * (x + 0.5) / ratio / (right - left)));
      barPen.fillStyle = `#${table.substr(6 * k, 6)}`;
      barPen.fillRect(left + x / ratio, 2, 1 / ratio, 14);
    }
    barPen.strokeStyle = barPen.fillStyle = ink("--ink");
    barPen.lineWidth = 1;
    barPen.strokeRect(left, 2, right - left, 14);
    if (layer.clipped) {  // values below the scale have its lowest colour
      barPen.fillStyle = `#${table.substr(0, 6)}`;
      barPen.beginPath();
      barPen.moveTo(left, 2);
      barPen.lineTo(left - 9, 9);
      barPen.lineTo(left, 16);
      barPen.fill();
      barPen.stroke();
    }
    barPen.fillStyle = ink("--ink");
    barPen.font = '12px system-ui, "DejaVu Sans", sans-serif';
    barPen.textAlign = "center";
    barPen.textBaseline = "top";
    const ticks = layer.scale === "log" ? logTicks(layer.low, layer.high) : niceTicks(layer.low, layer.high);
    let end = -Infinity;
    for (const { at, text } of ticks) {
      const x = left + (right - left) * (at - layer.low) / (layer.high - layer.low), zero = layer.scale === "signed" && at === 0;
      barPen.lineWidth = zero ? 2.5 : 1;
      barPen.beginPath();
      barPen.moveTo(x, zero ? 2 : 16);
      barPen.lineTo(x, 21);
      barPen.stroke();
      const half = barPen.measureText(text).width / 2;
      const from = clamp(x - half, 0, width - 2 * half);
      if (from < end + 6) continue;
      barPen.fillText(text, from + half, 24);
      end = from + 2 * half;
    }
    let last = -Infinity;  // names of the marks above the bar: a second scale
    barPen.textBaseline = "bottom";
    barPen.lineWidth = 1;
    for (const [at, text] of layer.marks) {
      if (at < layer.low || at > layer.high) continue;
      const x = left + (right - left) * (at - layer.low) / (layer.high - layer.low), half = barPen.measureText(text).width / 2;
      barPen.beginPath();
      barPen.moveTo(x, -2);
      barPen.lineTo(x, 4);
      barPen.stroke();
      if (x - half < last + 6) continue;
      barPen.fillText(text, x, -1);
      last = x + half;
    }
    const marked = layer.marks.filter(([at]) => at >= layer.low && at <= layer.high).map(([, text]) => text);
    bar.dataset.marks = marked.join(" ");
    bar.setAttribute("aria-label", `Colour scale of ${layer.label}, ${layer.unit}: ${ticks.map((t) => t.text).join(", ")}${layer.clipped ? "; lower values have the lowest colour" : ""}${marked.length ? `; above it ${marked.join(", ")}` : ""}`);
  }

  // ---- texts beside the map -------------------------------------------------------------------------------------

  function codeAt(layer, direction) { return layer.codes[Healpix.pixelOf(layer.nside, ...direction)]; }
  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }
  function list(pairs) {
    const made = document.createElement("dl");
    for (const [term, text] of pairs) made.append(element("dt", term), element("dd", text));
    return made;
  }
  const here = (direction) => layers.map((layer) => [`${layer.name}, pixel here`, valueText(layer, codeAt(layer, direction))]);
  function panel() {
    const box = byId("answer");
    if (view.open !== NONE) {
      const one = markers[view.open], row = document.querySelector(`#markers tr[data-marker="${view.open}"]`);
      const heads = [...document.querySelectorAll("#markers thead th")].map((th) => th.dataset.label);
      const cells = [...row.cells].map((cell, k) => [heads[k], cell.textContent.trim()]).slice(DATA.place_columns).filter(([, text]) => text !== "–");
      const extent = one.extension > 0 ? [["Extension (Gaussian σ)", `${digits(one.extension, 2)}°`]] : [];
      box.replaceChildren(element("h3", one.name), list([["Kind", one.kind], ...placeRows(one.direction), ...extent, ...cells, ...here(one.direction)]));
    } else if (view.at) {
      const layer = layers[view.layer], pixel = Healpix.pixelOf(layer.nside, ...view.at);
      box.replaceChildren(element("h3", `Pixel ${pixel.toLocaleString("en-GB")}`), list([["Map", `${layer.label}, nside ${layer.nside}, RING, ICRS`], ...placeRows(Healpix.centreOf(layer.nside, pixel)).map(([term, text]) => [`Centre, ${term}`, text]), ["Chosen place", placeText(view.at)], ...here(view.at)]));
    } else {
      box.replaceChildren(element("h3", "Nothing chosen"), element("p", "Choose a marker to see its fit, or any place to see the values of all maps there.", { class: "soft" }));
    }
    byId("close").hidden = view.open === NONE && !view.at;
    byId("panel").classList.toggle("nothing", view.open === NONE && !view.at);
    for (const row of rows()) row.classList.toggle("chosen", Number(row.dataset.marker) === view.open);
  }
  function texts() {
    const layer = layers[view.layer], frame = FRAMES[view.frame];
    byId("layer").value = String(view.layer);
    byId("projection").value = view.projection;
    for (const radio of document.querySelectorAll("input[name=frame]")) radio.checked = radio.value === view.frame;
    byId("labels").checked = view.labels;
    byId("zero").checked = view.zero;
    byId("zero-line").hidden = layer.scale !== "signed";
    for (const box of document.querySelectorAll("input[name=kind]")) box.checked = !view.hidden.has(box.value);
    byId("map-title").textContent = layer.label;
    byId("about").textContent = layer.about;
    byId("unit").textContent = layer.unit + (layer.blank ? " · hatched: no value" : "");
    byId("axes").textContent = `Axes: ${frame.axes}, in degrees; longitude grows to the left. Width of the view: ${digits(view.fov, view.fov < 10 ? 2 : 3)}°${view.fov < 360 && view.projection === "hammer" ? "; Reset shows the whole sky" : ""}.`;
    canvas.setAttribute("aria-label", `Sky map of ${layer.label}, ${frame.name} coordinates, ${layer.origin} data, ${order().length} markers. ${layer.about}`);
    panel();
  }
  const readout = (direction) => {
    byId("cursor").textContent = direction ? `${placeText(direction)} · ${valueText(layers[view.layer], codeAt(layers[view.layer], direction))}` : "outside the map";
  };
  const say = (text) => { byId("said").textContent = text; };

  // ---- the hash: a view that can be passed on -------------------------------------------------------------------

  function written() {
    const said = new URLSearchParams();
    said.set("layer", layers[view.layer].name);
    said.set("frame", view.frame);
    said.set("projection", view.projection);
    said.set("centre", `${view.lon.toFixed(3)},${view.lat.toFixed(3)}`);
    said.set("fov", view.fov.toFixed(3));
    if (view.open !== NONE) said.set("open", markers[view.open].key);
    if (view.at) said.set("at", angles(view.at).map((a, k) => (k ? a / DEG : positive(a / DEG)).toFixed(4)).join(","));
    if (view.labels !== fresh().labels) said.set("labels", view.labels ? "on" : "off");
    if (!view.zero) said.set("zero", "off");
    if (view.hidden.size) said.set("hide", [...view.hidden].join("|"));
    return said.toString();
  }
  const numbers = (text) => { const out = (text ?? "").split(",").map(Number); return out.length === 2 && out.every(Number.isFinite) ? out : null; };
  function read(text) {
    const said = new URLSearchParams(text), made = fresh();
    made.layer = Math.max(0, layers.findIndex((layer) => layer.name === said.get("layer")));
    if (said.get("frame") in FRAMES) made.frame = said.get("frame");
    if (said.get("projection") === "gnomonic") made.projection = "gnomonic";
    const fov = Number(said.get("fov")), widest = Projection[made.projection].widest, middle = numbers(said.get("centre"));
    made.fov = fov > 0 ? clamp(fov, NARROWEST, widest) : Math.min(widest, made.fov);
    [made.lon, made.lat] = middle ? [positive(middle[0]), clamp(middle[1], -90, 90)] : [FRAMES[made.frame].middle, 0];
    made.open = markers.findIndex((one) => one.key === said.get("open"));
    const at = numbers(said.get("at"));
    made.at = at && made.open === NONE ? vector(at[0] * DEG, clamp(at[1], -90, 90) * DEG) : null;
    if (said.has("labels")) made.labels = said.get("labels") !== "off";
    made.zero = said.get("zero") !== "off";
    made.hidden = new Set((said.get("hide") ?? "").split("|").filter((kind) => markers.some((one) => one.kind === kind)));
    if (made.open !== NONE) made.hidden.delete(markers[made.open].kind);
    view = made;
    if (view.open !== NONE && !middle && !onMap(markers[view.open].direction)) lookAt(markers[view.open].direction);
  }

  let sharpen = 0, writing = 0, waiting = false;
  function frame(step) {
    coarse = step;
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }
  // `moving`: draw coarsely now and sharply once the hand rests.
  function show({ moving = false } = {}) {
    texts();
    clearTimeout(sharpen);
    if (moving) { frame(2 * size.ratio); sharpen = setTimeout(() => frame(1), 140); } else { frame(1); drawBar(); }
    canvas.dataset.view = written();
    clearTimeout(writing);
    // A page inside another one may not change its address; the map works without.
    writing = setTimeout(() => { try { history.replaceState(null, "", `#${written()}`); } catch { /* see above */ } }, 200);
  }

  // ---- what the reader does -------------------------------------------------------------------------------------

  function open(k) {
    Object.assign(view, { open: k, at: null });
    aimed = k;
    view.hidden.delete(markers[k].kind);
    if (!onMap(markers[k].direction)) lookAt(markers[k].direction);
    show();
    say(`${markers[k].name}: ${[...byId("answer").querySelectorAll("dd")].slice(0, 6).map((dd) => `${dd.previousSibling.textContent} ${dd.textContent}`).join(", ")}`);
  }
  function choose(direction) {
    if (!direction) return;
    Object.assign(view, { open: NONE, at: direction });
    aimed = NONE;
    show();
    const layer = layers[view.layer];
    say(`${placeText(direction)}: ${valueText(layer, codeAt(layer, direction))}`);
  }
  function close() {
    Object.assign(view, { open: NONE, at: null });
    aimed = NONE;
    show();
    say("Closed.");
  }
  function nearest(sx, sy, reach) {
    const m = rotation(), out = [0, 0];
    let best = NONE, distance = reach;
    for (const k of order()) {
      if (!toScreen(m, markers[k].direction, out)) continue;
      const away = Math.hypot(out[0] - sx, out[1] - sy);
      if (away < distance) [best, distance] = [k, away];
    }
    return best;
  }
  function aim(step) {  // false where the last marker is passed: the key then leaves the map as usual
    const list = order(), at = aimed === NONE ? (step > 0 ? -1 : 0) : list.indexOf(aimed);
    const next = at + step;
    if (next < 0 || next >= list.length) { aimed = NONE; show(); return false; }
    aimed = list[next];
    const one = markers[aimed];
    if (!onMap(one.direction)) lookAt(one.direction);
    show();
    say(`${next + 1} of ${list.length}: ${one.name}, ${one.kind}. Enter shows its fit.`);
    readout(one.direction);
    return true;
  }
  const fingers = new Map();
  let start = null, pinch = 0;
  const place = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    fingers.set(event.pointerId, place(event));
    try { canvas.setPointerCapture(event.pointerId); } catch { /* a pointer that is gone already needs no capture */ }
    start = fingers.size === 1 ? { at: place(event), moved: false } : null;
    pinch = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event), last = fingers.get(event.pointerId);
    if (!last) {
      const over = nearest(x, y, 12);
      canvas.style.cursor = over === NONE ? "grab" : "pointer";
      readout(fromScreen(x, y));
      return;
    }
    if (start && !start.moved && Math.hypot(x - start.at[0], y - start.at[1]) < DRAG) return;
    if (start) start.moved = true;
    fingers.set(event.pointerId, [x, y]);
    if (fingers.size === 1) {
      moveBy(x - last[0], y - last[1]);
    } else {
      const [one, two] = [...fingers.values()], apart = Math.hypot(one[0] - two[0], one[1] - two[1]);
      if (pinch > 0 && apart > 0) zoomBy(pinch / apart, (one[0] + two[0]) / 2, (one[1] + two[1]) / 2);
      pinch = apart;
    }
    show({ moving: true });
  });
  function lift(event) {
    if (!fingers.delete(event.pointerId)) return;
    if (event.type === "pointerup" && start && !start.moved) {
      const [x, y] = place(event), hit = nearest(x, y, event.pointerType === "touch" ? 22 : 12);
      if (hit !== NONE) open(hit); else choose(fromScreen(x, y));
      readout(fromScreen(x, y));
    }
    pinch = 0;
    start = fingers.size === 1 ? { at: [...fingers.values()][0], moved: true } : null;
  }
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("wheel", (event) => {
    const [x, y] = place(event);
    // At either end of the zoom the wheel scrolls the page again.
    if (zoomBy(Math.exp(clamp(event.deltaY * (event.deltaMode ? 30 : 1), -120, 120) / 400), x, y)) { event.preventDefault(); show({ moving: true }); }
  }, { passive: false });

  const zoomIn = () => zoomBy(1 / 1.4), zoomOut = () => zoomBy(1.4);
  const pan = (dx, dy) => () => moveBy(dx * size.width / 10, dy * size.width / 10);
  const KEYS = {
    ArrowLeft: pan(1, 0), ArrowRight: pan(-1, 0), ArrowUp: pan(0, 1), ArrowDown: pan(0, -1),
    "+": zoomIn, "=": zoomIn, "-": zoomOut, "−": zoomOut, 0: reset, Home: reset,
    g: () => setFrame(view.frame === "galactic" ? "equatorial" : "galactic"),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Tab") { if (!leaving && aim(event.shiftKey ? -1 : 1)) event.preventDefault(); return; }
    if (event.key === "Escape") {
      if (view.open !== NONE || view.at) close();
      else if (aimed !== NONE) { aimed = NONE; show(); }
      else { leaving = true; say("Tab now leaves the map."); }
      return;
    }
    leaving = false;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (aimed !== NONE) open(aimed); else choose(fromScreen(size.width / 2, size.height / 2));
      return;
    }
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
    const middle = fromScreen(size.width / 2, size.height / 2);
    readout(middle);
    say(`Middle of the map at ${placeText(middle)}.`);
    show({ moving: event.repeat });
  });
  canvas.addEventListener("focus", () => { leaving = false; frame(1); });
  canvas.addEventListener("blur", () => { if (view.open !== aimed) aimed = NONE; frame(1); });
  byId("panel").addEventListener("keydown", (event) => { if (event.key === "Escape") { close(); canvas.focus(); } });
  byId("markers")?.addEventListener("keydown", (event) => { if (event.key === "Escape") close(); });

  const changed = (name, act) => byId(name).addEventListener("change", (event) => { act(event.target); show(); });
  changed("layer", (field) => { view.layer = Number(field.value); });
  changed("projection", (field) => setProjection(field.value));
  changed("labels", (field) => { view.labels = field.checked; });
  changed("zero", (field) => { view.zero = field.checked; });
  changed("frame", (field) => setFrame(field.value));
  byId("kinds")?.addEventListener("change", (event) => {
    if (event.target.checked) view.hidden.delete(event.target.value); else view.hidden.add(event.target.value);
    if (view.open !== NONE && view.hidden.has(markers[view.open].kind)) view.open = NONE;
    if (aimed !== NONE && view.hidden.has(markers[aimed].kind)) aimed = NONE;
    show();
  });
  for (const [name, act] of [["in", zoomIn], ["out", zoomOut], ["reset", reset]]) byId(name).addEventListener("click", () => { act(); show(); });
  byId("close").addEventListener("click", () => { close(); canvas.focus(); });
  document.addEventListener("click", (event) => {
    const row = event.target.closest?.("#markers tbody button");
    if (row) { open(Number(row.closest("tr").dataset.marker)); byId("map").scrollIntoView({ block: "nearest" }); }
    const head = event.target.closest?.("#markers thead button");
    if (head) sort(head.closest("th"));
  });

  // ---- the table ------------------------------------------------------------------------------------------------

  function sort(head) {
    const column = head.cellIndex, descending = head.getAttribute("aria-sort") === "ascending", body = document.querySelector("#markers tbody");
    const numeric = head.dataset.numeric === "yes";
    const key = (row) => { const cell = row.cells[column]; return numeric ? (cell.dataset.sort === undefined ? null : Number(cell.dataset.sort)) : cell.textContent.trim(); };
    const compare = (a, b) => numeric ? a - b : a.localeCompare(b, "en", { numeric: true });
    const missing = (value) => value === null || value === "–";
    const sorted = rows().map((row) => [key(row), row]).sort(([a], [b]) => missing(a) || missing(b) ? missing(a) - missing(b) : (descending ? -1 : 1) * compare(a, b));
    body.append(...sorted.map(([, row]) => row));
    for (const th of document.querySelectorAll("#markers thead th")) th.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    say(`Sorted by ${head.dataset.label}, ${descending ? "descending" : "ascending"}.`);
    show();
  }

  // ---- start ----------------------------------------------------------------------------------------------------

  function resize() {
    const width = canvas.parentElement.clientWidth;
    size = { width, height: Math.round(clamp((width < NARROW ? 0.86 : 0.54) * width, 270, 720)), ratio: Math.min(2, devicePixelRatio || 1) };
    canvas.style.height = `${size.height}px`;
    canvas.width = Math.round(width * size.ratio);
    canvas.height = Math.round(size.height * size.ratio);
  }
  document.documentElement.classList.add("scripted");
  if (parent !== window) {  // inside a report, which has no other way to know how tall the map is
    document.documentElement.classList.add("framed");
    new ResizeObserver(() => parent.postMessage({ height: document.documentElement.offsetHeight }, "*")).observe(document.body);
  }
  let begun = "";
  function begin() {  // anew where the screen turns out to be of the other kind, unless the reader has moved the map
    byId("settings").open = !narrow();
    if (begun && written() !== begun) return;
    read(location.hash.slice(1));
    begun = written();
  }
  resize();
  begin();
  let small = narrow();
  readout(fromScreen(size.width / 2, size.height / 2));
  show();
  draw();
  new ResizeObserver(() => {
    if (canvas.parentElement.clientWidth === size.width) return;
    resize();
    if (narrow() !== small) { small = narrow(); begin(); }
    show();
  }).observe(canvas.parentElement);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
  // From the event, not the address: show() may have written there since.
  addEventListener("hashchange", (event) => { aimed = NONE; read(new URL(event.newURL).hash.slice(1)); show(); });
})();
