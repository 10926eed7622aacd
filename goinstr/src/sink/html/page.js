"use strict";
// Shows the figures that stand in the page. Names are the target's: they are only ever set as text.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const byId = new Map(data.functions.map((f) => [f.id, f]));
const name = (id) => data.names[id] ?? byId.get(id)?.name ?? "?";

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

// Three digits, cut and not rounded, as goinstr's own table has them.
function time(ns) {
  if (ns === null || ns === undefined) return "-";
  if (ns < 1e3) return `${Math.floor(ns)}ns`;
  for (const [unit, text, limit] of [[1e3, "µs", 1e6], [1e6, "ms", 1e9], [1e9, "s", 6e10]]) {
    if (ns >= limit) continue;
    const value = ns / unit;
    const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
    return (Math.floor(value * 10 ** digits) / 10 ** digits).toFixed(digits) + text;
  }
  const seconds = Math.floor(ns / 1e9);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, "0")}s`;
  return `${Math.floor(seconds / 3600)}h${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}m`;
}
const count = (n) => n.toLocaleString("en-US");
const share = (part, whole) => (whole > 0 ? `${((100 * part) / whole).toFixed(1)} %` : "");

// ---- what is searched
let wanted = "";
const matches = (text) => wanted !== "" && text.toLowerCase().includes(wanted);
const passes = (f) => wanted === "" || matches(f.name) || matches(f.file ?? "");

// ---- functions
const columns = [
  ["calls", (f) => f.calls, count],
  ["unwound", (f) => f.unwound, count],
  ["open", (f) => f.in_flight, count],
  ["p50", (f) => f.p50_ns, time],
  ["p90", (f) => f.p90_ns, time],
  ["p99", (f) => f.p99_ns, time],
  ["max", (f) => f.max_ns, time],
  ["total", (f) => f.total_ns, time],
  ["self", (f) => f.self_ns, time],
].filter(([title, of]) => !["unwound", "open"].includes(title) || data.functions.some((f) => of(f) > 0));
let sorted = "total";
let chosen = null;

function drawTable() {
  const head = make("tr");
  for (const [title] of [...columns, ["function"]]) {
    const cell = make("th", title, title === sorted ? "sorted" : "");
    cell.onclick = () => { sorted = title; drawTable(); };
    head.append(cell);
  }
  $("table").tHead.replaceChildren(head);
  const of = columns.find(([title]) => title === sorted)?.[1];
  const rows = data.functions.filter(passes);
  rows.sort(of ? (a, b) => (of(b) ?? 0) - (of(a) ?? 0) : (a, b) => a.name.localeCompare(b.name));
  const body = rows.map((f) => {
    const row = make("tr", undefined, f === chosen ? "chosen" : "");
    for (const [, figure, text] of columns) row.append(make("td", text(figure(f))));
    row.append(make("td", f.name));
    row.onclick = () => choose(f);
    return row;
  });
  $("table").tBodies[0].replaceChildren(...body);
  const left = data.called > data.functions.length ? `, the ${count(data.functions.length)} with the most time are here` : "";
  $("shown").textContent = `${count(rows.length)} shown; ${count(data.called)} of ${count(data.measured)} functions were called${left}. Click one for its distribution.`;
}

// ---- one function
function choose(f) {
  chosen = f;
  drawTable();
  $("detail").hidden = false;
  $("detail-name").textContent = f.name;
  const place = f.file ? `${f.file}:${f.line}` : "";
  $("detail-place").textContent = `${place}  ${count(f.calls)} calls, min ${time(f.min_ns)}, p50 ${time(f.p50_ns)}, p90 ${time(f.p90_ns)}, p99 ${time(f.p99_ns)}, p99.9 ${time(f.p999_ns)}, max ${time(f.max_ns)}, total ${time(f.total_ns)}, self ${time(f.self_ns)}`;
  drawHistogram(f);
  drawHeat(f);
  around("callers", f, (path) => path.function === f.id && path.caller, (path) => path.caller);
  around("callees", f, (path) => path.caller?.function === f.id, (path) => path);
}

function around(list, f, related, other) {
  const sums = new Map();
  for (const path of paths) {
    if (!related(path)) continue;
    const id = other(path).function;
    const sum = sums.get(id) ?? { calls: 0, total: 0 };
    sum.calls += path.calls;
    sum.total += path.total;
    sums.set(id, sum);
  }
  const items = [...sums].sort((a, b) => b[1].total - a[1].total).map(([id, sum]) => {
    const item = make("li");
    const button = make("button", name(id));
    button.onclick = () => byId.has(id) && choose(byId.get(id));
    item.append(button, ` ${count(sum.calls)} calls, ${time(sum.total)}`);
    return item;
  });
  $(list).replaceChildren(...(items.length ? items : [make("li", "nothing measured", "note")]));
}

// ---- drawing
const color = (property) => getComputedStyle(document.documentElement).getPropertyValue(property).trim();

function surface(canvas) {
  const scale = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = 220;
  canvas.width = width * scale;
  canvas.height = height * scale;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.clearRect(0, 0, width, height);
  context.font = "11px system-ui, sans-serif";
  return [context, width, height];
}

// Powers of ten between two durations, for an axis.
function tens(low, high) {
  const all = [];
  for (let at = 10 ** Math.ceil(Math.log10(Math.max(low, 1))); at <= high; at *= 10) all.push(at);
  return all;
}
const tick = (ns) => (ns < 1e3 ? `${ns}ns` : ns < 1e6 ? `${ns / 1e3}µs` : ns < 1e9 ? `${ns / 1e6}ms` : `${ns / 1e9}s`);

function drawHistogram(f) {
  const [context, width, height] = surface($("histogram"));
  const [left, right, top, bottom] = [8, 8, 16, 20];
  const low = Math.max(1, f.slots[0]?.[0] ?? 1) / 1.2;
  const last = f.slots[f.slots.length - 1] ?? [10, 1];
  const high = (last[0] + last[1]) * 1.2;
  const x = (ns) => left + ((Math.log(Math.max(ns, low)) - Math.log(low)) / (Math.log(high) - Math.log(low))) * (width - left - right);
  // Slots are narrower than pixels: each bar is one of so many pieces of the axis.
  const bars = Math.max(20, Math.floor((width - left - right) / 5));
  const sums = new Array(bars).fill(0);
  for (const [at, wide, calls] of f.slots) {
    const bar = Math.floor(((x(at + wide / 2) - left) / (width - left - right)) * bars);
    sums[Math.min(bars - 1, Math.max(0, bar))] += calls;
  }
  const most = Math.max(...sums, 1);
  context.fillStyle = `rgba(${color("--heat")}, .75)`;
  sums.forEach((calls, bar) => {
    if (!calls) return;
    // A logarithm, so that a single slow call among millions shows.
    const tall = (Math.log1p(calls) / Math.log1p(most)) * (height - top - bottom);
    context.fillRect(left + (bar * (width - left - right)) / bars, height - bottom - tall, (width - left - right) / bars - 1, tall);
  });
  context.fillStyle = color("--dim");
  context.strokeStyle = color("--line");
  for (const ten of tens(low, high)) {
    context.fillText(tick(ten), x(ten) + 3, height - 6);
    context.beginPath(); context.moveTo(x(ten), top); context.lineTo(x(ten), height - bottom + 4); context.stroke();
  }
  context.strokeStyle = color("--ink");
  for (const [text, ns] of [["p50", f.p50_ns], ["p99", f.p99_ns]]) {
    if (!ns) continue;
    context.beginPath(); context.moveTo(x(ns), top); context.lineTo(x(ns), height - bottom); context.stroke();
    context.fillStyle = color("--ink");
    context.fillText(text, Math.min(x(ns) + 3, width - 24), 11);
  }
  $("histogram").onmousemove = (event) => {
    const bar = Math.floor(((event.offsetX - left) / (width - left - right)) * bars);
    const at = (part) => Math.exp(Math.log(low) + (part / bars) * (Math.log(high) - Math.log(low)));
    if (bar >= 0 && bar < bars) $("hover").textContent = `${time(at(bar))} to ${time(at(bar + 1))}: ${count(sums[bar])} calls`;
  };
}

function drawHeat(f) {
  const [context, width, height] = surface($("heat"));
  const [left, right, top, bottom] = [52, 8, 8, 20];
  const bands = f.heat.map((cell) => cell[1]);
  const low = Math.min(...bands), high = Math.max(...bands) + 1;
  const end = data.columns[data.columns.length - 1] || 1;
  const x = (ns) => left + (ns / end) * (width - left - right);
  const y = (band) => height - bottom - ((band - low) / (high - low)) * (height - top - bottom);
  const most = Math.max(...f.heat.map((cell) => cell[2]), 1);
  for (const [column, band, calls] of f.heat) {
    const from = column ? data.columns[column - 1] : 0;
    context.fillStyle = `rgba(${color("--heat")}, ${0.15 + 0.85 * (Math.log1p(calls) / Math.log1p(most))})`;
    context.fillRect(x(from), y(band + 1), Math.max(1, x(data.columns[column]) - x(from) - 0.5), y(band) - y(band + 1) - 0.5);
  }
  const ns = (band) => 2 ** Math.floor(band / 4) * (1 + (band % 4) / 4);
  context.fillStyle = color("--dim");
  let before = Infinity;
  for (const ten of tens(ns(low), ns(high))) {
    const octave = Math.floor(Math.log2(ten));
    const at = y(octave * 4 + (ten / 2 ** octave - 1) * 4);
    if (before - at > 12) { context.fillText(tick(ten), 4, at + 4); before = at; }
  }
  for (let part = 0; part <= 4; part++) {
    const text = time((end * part) / 4);
    context.fillText(text, Math.min(x((end * part) / 4), width - 8 - context.measureText(text).width), height - 6);
  }
  const cells = new Map(f.heat.map(([column, band, calls]) => [`${column} ${band}`, calls]));
  $("heat").onmousemove = (event) => {
    const at = ((event.offsetX - left) / (width - left - right)) * end;
    const column = data.columns.findIndex((till) => at < till);
    const band = Math.floor(low + ((height - bottom - event.offsetY) / (height - top - bottom)) * (high - low));
    if (column < 0 || band < low || band >= high) return;
    const calls = cells.get(`${column} ${band}`) ?? 0;
    $("hover").textContent = `at ${time(at)}, ${time(ns(band))} to ${time(ns(band + 1))}: ${count(calls)} calls`;
  };
}

// ---- paths
const paths = data.paths.map(([id, caller, calls, unwound, total, self]) => ({ function: id, caller, calls, unwound, total, self, inside: [] }));
const root = { function: -1, calls: 0, total: 0, self: 0, inside: [] };
for (const path of paths) {
  path.caller = path.caller >= 0 ? paths[path.caller] : null;
  (path.caller ?? root).inside.push(path);
}
// A width is the time of a path's own and of those inside: callers come first, so backwards.
for (let index = paths.length - 1; index >= 0; index--) {
  const path = paths[index];
  path.width = (path.width ?? 0) + path.self;
  const above = path.caller ?? root;
  above.width = (above.width ?? 0) + path.width;
}
root.width ??= 0;
for (const path of [root, ...paths]) path.inside.sort((a, b) => b.width - a.width);

// ---- flame graph
let zoomed = root;
function hue(text) {
  let hash = 0;
  for (const character of text.split(".").slice(0, -1).join(".") + text.length) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return 18 + (hash % 44);
}
function drawFlame() {
  const graph = $("flame-graph");
  const frames = [];
  let deepest = 0;
  const wide = graph.clientWidth || 1000;
  const above = [];
  for (let path = zoomed; path; path = path === root ? null : path.caller ?? root) above.unshift(path);
  const put = (path, from, width, level, dim) => {
    deepest = Math.max(deepest, level);
    const text = path === root ? `all, ${time(root.width)}` : name(path.function);
    const frame = make("div", width > 30 ? text : "", "frame");
    frame.style.cssText = `left:${from}px;width:${Math.max(width, 1)}px;top:${level * 20}px;background:hsl(${path === root ? 210 : hue(text)} ${path === root ? 10 : 78}% ${dim ? 85 : 68}%)`;
    if (path !== root && matches(text)) frame.classList.add("found");
    frame.onclick = () => { zoomed = path; drawFlame(); };
    frame.onmousemove = () => {
      $("flame-hover").textContent = path === root ? text
        : `${text}: ${count(path.calls)} calls, ${time(path.width)} (${share(path.width, root.width)}), itself ${time(path.self)}${path.calls ? "" : "; it had not returned"}`;
    };
    frames.push(frame);
  };
  above.slice(0, -1).forEach((path, level) => put(path, 0, wide, level, true));
  const walk = [[zoomed, 0, wide, above.length - 1]];
  while (walk.length && frames.length < 5000) {
    const [path, from, width, level] = walk.pop();
    put(path, from, width, level, false);
    let at = from;
    for (const inside of path.inside) {
      const part = path.width ? (inside.width / path.width) * width : 0;
      if (part >= 0.5) walk.push([inside, at, part, level + 1]);
      at += part;
    }
  }
  graph.style.height = `${(deepest + 1) * 20}px`;
  graph.replaceChildren(...frames);
}

// ---- call tree
function treeRow(path, level) {
  const box = make("div");
  const row = make("div", undefined, "row");
  const text = name(path.function);
  row.append(make("span", path.calls ? count(path.calls) : "open"), make("span", time(path.width)), make("span", time(path.self)));
  const label = make("span", undefined, "name");
  label.style.paddingLeft = `${level * 16}px`;
  const inside = make("div");
  let open = false;
  const toggle = (unfold) => {
    open = unfold;
    mark.textContent = path.inside.length ? (open ? "▾ " : "▸ ") : "  ";
    inside.replaceChildren(...(open ? path.inside.map((each) => treeRow(each, level + 1)) : []));
  };
  const mark = make("button", "");
  const button = make("button", text);
  mark.onclick = () => toggle(!open);
  button.onclick = () => (byId.has(path.function) ? choose(byId.get(path.function)) : toggle(!open));
  label.append(mark, button);
  row.append(label);
  if (matches(text)) row.classList.add("found");
  box.append(row, inside);
  toggle(level < 2 || (wanted !== "" && holds(path) && level < 40));
  return box;
}
function holds(path) {
  const left = [...path.inside];
  while (left.length) {
    const next = left.pop();
    if (matches(name(next.function))) return true;
    left.push(...next.inside);
  }
  return false;
}
function drawTree() {
  const head = make("div", undefined, "row head");
  head.append(make("span", "calls"), make("span", "time"), make("span", "itself"), make("span", "function", "name"));
  $("tree-rows").replaceChildren(head, ...root.inside.slice(0, 500).map((path) => treeRow(path, 0)));
}

// ---- slowest calls
function drawSlow() {
  const head = make("tr");
  for (const title of ["at", "took", "itself", "goroutine", "function"]) head.append(make("th", title));
  $("slow").tHead.replaceChildren(head);
  const shown = data.slowest.filter((call) => wanted === "" || matches(name(call.function)));
  $("slow").tBodies[0].replaceChildren(...shown.map((call) => {
    const row = make("tr");
    const inside = call.parent === null ? "" : ` in ${name(call.parent)}`;
    const unwound = call.unwound ? " (unwound)" : "";
    for (const text of [time(call.at_ns), time(call.duration_ns), time(call.self_ns), call.goid, name(call.function) + unwound + inside]) row.append(make("td", text));
    row.onclick = () => byId.has(call.function) && choose(byId.get(call.function));
    return row;
  }));
}

// ---- all of it
$("heading").textContent = `${data.heading}, ${time(data.elapsed_ns)} from ${new Date(data.start_unix_ns / 1e6).toISOString()}`;
$("notes").replaceChildren(...data.notes.map((note) => make("li", note)));
$("flame-note").textContent = data.single_calls
  ? `${count(data.single_calls)} of ${count(data.calls)} calls were recorded one by one; a width is the time in them, of all goroutines together. Click to zoom.`
  : "No single calls were recorded.";
function draw() {
  drawTable();
  drawFlame();
  drawTree();
  drawSlow();
}
$("search").oninput = () => { wanted = $("search").value.trim().toLowerCase(); draw(); };
let resized;
window.onresize = () => {
  clearTimeout(resized);
  resized = setTimeout(() => { drawFlame(); if (chosen) { drawHistogram(chosen); drawHeat(chosen); } }, 100);
};
draw();
if (data.functions.length) choose(data.functions[0]);
document.body.dataset.ready = "yes";
