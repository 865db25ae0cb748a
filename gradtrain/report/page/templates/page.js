"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const root = document.documentElement;
const several = data.runs.length > 1;
const dark = matchMedia("(prefers-color-scheme: dark)");
const touch = matchMedia("(pointer: coarse)");
const state = { log: false, smooth: 0, means: data.groups.length > 0, hidden: new Set(), paper: 0 };
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const SPLITS = ["train", "val", "test"];
const SHOWN = { displaylogo: false, displayModeBar: !touch.matches, modeBarButtons: [["toImage", "resetScale2d"]], responsive: true };

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Plotly reads markup and %{…} in names: spelled as entities they are text.
const plain = text => text.replace(/[&<>%"']/g, one => `&#${one.charCodeAt(0)};`);
const short = text => text.length > 24 ? "…" + text.slice(-23) : text;
const css = name => getComputedStyle(root).getPropertyValue(name).trim();
const colour = number => { const all = css("--colours").split(" "); return all[number % all.length]; };
const dash = number => DASHES[Math.floor(number / css("--colours").split(" ").length) % DASHES.length];
const faint = (hex, share) => `rgba(${[1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16)).join(",")},${share})`;
const told = value => value === null ? "–" : Number(value.toPrecision(4)).toString();

// Exponential smoothing whose memory is a number of points; it starts without a bias towards zero.
function smoothed(values) {
  if (!state.smooth || values.length < 3) return values;
  let sum = 0, weight = 0;
  return values.map(value => {
    if (value === null) return null;
    sum = state.smooth * sum + (1 - state.smooth) * value;
    weight = state.smooth * weight + 1 - state.smooth;
    return sum / weight;
  });
}

// What has a colour of its own: a run, a group of runs, or within one run a split or a term.
const grouped = new Set(data.groups.flatMap(group => group.runs));
function lines() {
  if (!several) return [];
  const runs = data.runs.map((name, run) => ({ key: `run ${run}`, name, run }));
  if (!state.means) return runs;
  const groups = data.groups.map((group, number) => ({ key: `group ${number}`, name: group.label, group: number }));
  return [...groups, ...runs.filter(line => !grouped.has(line.run))];
}

function traces(chart) {
  const found = [], keys = new Map();
  const names = [...new Set(chart.series.map(one => one.name))];
  const place = one => SPLITS.includes(one.style) && one.name === one.style ? SPLITS.indexOf(one.style) : names.indexOf(one.name);
  const add = (one, number, name, extra) => {
    const ink = colour(several ? number : place(one));
    const pattern = several ? (one.style === "term" ? DASHES[names.indexOf(one.name) % DASHES.length] : dash(number)) : "solid";
    const few = one.x.length <= 40, single = one.once;
    const main = one.style !== "train" || chart.series.every(other => other.style === "train");
    const y = smoothed(one.y);
    const common = { x: one.x, hoverinfo: "skip", showlegend: false, type: "scatter" };
    if (one.low) {
      found.push({ ...common, y: one.high, mode: "lines", line: { width: 0 } });
      found.push({ ...common, y: one.low, mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: faint(ink, .16) });
    } else if (state.smooth && !single) {
      found.push({ ...common, y: one.y, mode: "lines", line: { width: 1, color: faint(ink, .3) } });
    }
    const band = one.low ? one.low.map((low, i) => [low, one.high[i]]) : null;
    found.push({
      type: "scatter", x: one.x, y, name: plain(name), showlegend: false,
      mode: single ? "markers" : few && main && one.style !== "term" && !state.smooth ? "lines+markers" : "lines",
      line: { color: ink, width: main ? 2 : 1.3, dash: pattern },
      marker: { color: ink, size: single ? 9 : 4.5, symbol: single ? "diamond" : "circle" },
      opacity: main ? 1 : .8, customdata: band,
      hovertemplate: band ? "%{y:.4~g}  (%{customdata[0]:.4~g} … %{customdata[1]:.4~g})" : "%{y:.4~g}",
      ...extra,
    });
    if (!several) keys.set(one.name, ink);
  };
  lines().forEach((line, number) => {
    if (state.hidden.has(line.key)) return;
    const own = line.group === undefined ? chart.series.filter(one => one.run === line.run) : chart.means.filter(one => one.group === line.group);
    for (const one of own) add(one, number, names.length > 1 ? `${line.name} ${one.name}` : line.name);
  });
  if (!several) for (const one of chart.series) if (!state.hidden.has(one.name)) add(one, 0, one.name);
  return { found, keys };
}

function layout(height, more) {
  const axis = {
    gridcolor: css("--grid"), linecolor: css("--line"), zerolinecolor: css("--line"), automargin: true, fixedrange: touch.matches,
    tickfont: { size: 11 }, exponentformat: "power",
  };
  return {
    height, margin: { l: 44, r: 10, t: 10, b: 38 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    width: state.paper || undefined, autosize: !state.paper,
    font: { family: css("--sans"), size: 12, color: css("--quiet") },
    hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { color: css("--ink"), size: 12, family: css("--sans") }, align: "left", namelength: 40 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--quiet"), activecolor: css("--ink") },
    dragmode: touch.matches ? false : "zoom", ...more,
    xaxis: { ...axis, title: { text: "step", font: { size: 11 }, standoff: 4 }, ...(more.xaxis || {}) },
    yaxis: { ...axis, ...(more.yaxis || {}) },
  };
}

function frame(title, into) {
  const caption = make("figcaption", {}, make("span", {}, title));
  const keys = make("span", { class: "key" });
  const plot = make("div", { class: "plot", role: "img", "aria-label": title });
  const note = make("p", { class: "note" });
  caption.append(keys);
  const figure = make("figure", { class: "chart" }, caption, plot, note);
  into.append(figure);
  return { caption, keys, plot, note };
}

// Charts are drawn when they come near, and again when something about them changes.
const drawings = [];
const watcher = new IntersectionObserver(seen => {
  for (const one of seen) if (one.isIntersecting) draw(drawings.find(other => other.plot === one.target));
}, { rootMargin: "500px" });
function register(plot, paint) {
  const drawing = { plot, paint, drawn: false };
  drawings.push(drawing);
  watcher.observe(plot);
  return drawing;
}
function draw(drawing) {
  if (drawing.drawn) return;
  drawing.drawn = true;
  watcher.unobserve(drawing.plot);
  drawing.paint();
}
const redraw = (which = drawings) => which.filter(one => one.drawn).forEach(one => one.paint());

function lost(chart) {
  return chart.lost.map(one => {
    const first = one.first.map(([step, value]) => `${value} at step ${step.toLocaleString("en")}`).join(", ");
    const who = several ? `${data.runs[one.run]} ${one.name}` : one.name;
    return `${who}: ${one.count.toLocaleString("en")} not finite (${first}${one.count > one.first.length ? ", …" : ""}).`;
  }).join(" ");
}

function curves() {
  const into = document.querySelector(".charts");
  for (const chart of data.charts) {
    const { keys, plot, note } = frame(chart.title, into);
    const shared = Math.max(1, ...chart.series.map(one => one.each));
    const words = [lost(chart)];
    if (shared > 1) words.push(`Points span up to ${shared.toLocaleString("en")} steps: the line is their mean, the band from the least to the greatest.`);
    const ends = chart.series.map(one => `${several ? data.runs[one.run] + " " : ""}${one.name} ends at ${told(one.y[one.y.length - 1] ?? null)}`);
    plot.setAttribute("aria-label", `${chart.title}: ${ends.slice(0, 8).join(", ")}`);
    note.textContent = words.filter(Boolean).join(" ");
    note.hidden = !note.textContent;
    register(plot, () => {
      const { found, keys: inks } = traces(chart);
      const all = [...new Set(chart.series.map(one => one.name))];
      if (several && chart.series.some(one => one.style === "train") && all.length > 1) keys.textContent = "thin: train, with points: val, diamond: test";
      else keys.replaceChildren(...(!several && all.length > 1 ? all.map(name => key(name, inks.get(name) || css("--line"))) : []));
      const log = state.log && chart.log;
      const flat = chart.series.every(one => one.y.every(value => value === chart.series[0].y[0]));
      Plotly.react(plot, found, layout(270, {
        hovermode: "x unified",
        yaxis: { type: log ? "log" : "linear", rangemode: flat ? "tozero" : "normal", nticks: 7 },
      }), SHOWN);
    });
  }
  document.querySelector("#curves .none").hidden = data.charts.length > 0;
}

function key(name, ink) {
  const swatch = make("span", { class: "swatch" });
  swatch.style.background = ink;
  return make("span", { class: "key" }, swatch, name);
}

function map(one, into) {
  const { caption, keys, plot, note } = frame(one.title, into);
  keys.remove();
  let wanted = "";
  if (one.names.length > 12) {
    const search = make("input", { type: "search", placeholder: "filter names", "aria-label": `Filter the rows of ${one.title}` });
    search.addEventListener("input", () => { wanted = search.value.toLowerCase(); redraw([drawing]); });
    caption.append(search);
  }
  const positive = one.z.flat().filter(value => value > 0);
  const floor = positive.reduce((a, b) => Math.min(a, b), Infinity) / 10;
  const words = [];
  if (one.joined > 1) words.push(`A cell is the mean over ${one.joined.toLocaleString("en")} steps.`);
  if (one.lost) words.push(`${one.lost.toLocaleString("en")} values were not finite.`);
  note.textContent = words.join(" ");
  note.hidden = !words.length;
  plot.setAttribute("aria-label", `${one.title}: ${one.names.length} rows over ${one.x.length} points in time`);
  const drawing = register(plot, () => {
    const rows = one.names.map((_, row) => row).filter(row => one.names[row].toLowerCase().includes(wanted));
    const values = rows.map(row => one.z[row]);
    const z = one.log ? values.map(row => row.map(value => value === null ? null : Math.log10(value > 0 ? value : floor))) : values;
    const height = Math.max(130, Math.min(720, 62 + rows.length * 22));
    const step = Math.ceil(rows.length / ((height - 62) / 13));
    const ticks = rows.map((_, place) => place).filter(place => place % step === 0);
    const narrow = plot.clientWidth < 520;
    Plotly.react(plot, [{
      type: "heatmap", x: one.x, y: rows.map((_, place) => place), z, customdata: values, text: rows.map(row => one.x.map(() => plain(one.names[row]))),
      colorscale: "Viridis", hovertemplate: "%{text}<br>step %{x}: %{customdata:.3~g}<extra></extra>", xgap: 0, ygap: 1,
      colorbar: bar(one.log, z, narrow ? 50 / (height - 48) : 0),
    }], layout(height + (narrow ? 46 : 0), {
      xaxis: { showgrid: false, ...octaves(one.x) }, hovermode: "closest",
      yaxis: { showgrid: false, autorange: "reversed", zeroline: false, tickvals: ticks, ticktext: ticks.map(place => plain(narrow ? short(one.names[rows[place]]).slice(-14) : short(one.names[rows[place]]))) },
    }), SHOWN);
  });
}

// Looks that grow apart are read on a logarithmic axis: half of them lie in the first eighth of the run.
function octaves(x) {
  const middle = x[Math.floor(x.length / 2)], last = x[x.length - 1];
  if (!(x[0] > 0 && last > 32 * x[0] && middle < last / 8)) return {};
  const ticks = [];
  for (let power = 1; power <= last; power *= 10) ticks.push(...(last < 2e4 ? [1, 2, 5] : [1]).map(digit => digit * power).filter(tick => tick >= x[0] && tick <= last));
  return { type: "log", tickvals: ticks, ticktext: ticks.map(tick => tick.toLocaleString("en")) };
}

// Beside the map, or below it by that share of its height.
function bar(log, z, below) {
  const side = below ? { orientation: "h", y: -below, yanchor: "top", x: .5, thickness: 8, len: 1 } : { thickness: 10, len: 1, x: 1.01 };
  const made = { ...side, outlinewidth: 0, tickfont: { size: 10 } };
  if (!log) return { ...made, nticks: 5 };
  const flat = z.flat().filter(value => value !== null);
  const low = Math.ceil(flat.reduce((a, b) => Math.min(a, b), Infinity)), high = Math.floor(flat.reduce((a, b) => Math.max(a, b), -Infinity));
  const step = Math.max(1, Math.ceil((high - low + 1) / 6)), ticks = [];
  for (let exponent = low; exponent <= high; exponent += step) ticks.push(exponent);
  return { ...made, tickvals: ticks, ticktext: ticks.map(exponent => `1e${exponent}`) };
}

function distribution(all, into) {
  const { caption, keys, plot, note } = frame("Share of values", into);
  keys.remove();
  const choice = make("select", { "aria-label": "Layer or tensor" });
  for (const kind of [...new Set(all.map(one => one.kind))]) {
    const group = make("optgroup", { label: kind });
    all.forEach((one, number) => { if (one.kind === kind) group.append(make("option", { value: number }, one.name)); });
    choice.append(group);
  }
  caption.append(choice);
  choice.addEventListener("change", () => redraw([drawing]));
  const drawing = register(plot, () => {
    const one = all[Number(choice.value)];
    note.textContent = one.stride > 1 ? `Every ${one.stride}th of the distributions that were written.` : "";
    note.hidden = !note.textContent;
    plot.setAttribute("aria-label", `Distribution of the ${one.kind} of ${one.name} over the steps`);
    const narrow = plot.clientWidth < 520;
    const middle = one.edges.slice(1).map((edge, i) => (edge + one.edges[i]) / 2);
    Plotly.react(plot, [{
      type: "heatmap", x: one.x, y: middle, z: one.z.map(row => row.map(Math.sqrt)), customdata: one.z, colorscale: "Viridis", showscale: false,
      hovertemplate: "step %{x}, at %{y:.3~g}: %{customdata:.2~%}<extra></extra>",
    }], layout(narrow ? 250 : 300, { xaxis: { showgrid: false, ...octaves(one.x) }, yaxis: { showgrid: false, zeroline: false, title: { text: "value", font: { size: 11 } } }, hovermode: "closest" }), SHOWN);
  });
}

function layers() {
  const fill = (kind, all, show) => document.querySelectorAll(`.part.${kind}`).forEach(part => {
    const own = all.filter(one => one.run === Number(part.dataset.run));
    if (!own.length) return;
    part.querySelector(".none").remove();
    show(own, part);
  });
  fill("maps", data.maps, (own, part) => own.forEach(one => map(one, part)));
  fill("distributions", data.distributions, distribution);
}

function chips() {
  const place = document.getElementById("lines");
  const names = several ? lines() : [...new Set(data.charts.flatMap(chart => chart.series.filter(one => one.style !== "term").map(one => one.style)))].map(name => ({ key: name, name }));
  place.querySelector("legend").textContent = several ? "Runs" : "Show";
  place.querySelectorAll("label").forEach(label => label.remove());
  names.forEach((line, number) => {
    const box = make("input", { type: "checkbox" });
    box.checked = !state.hidden.has(line.key);
    box.addEventListener("change", () => { state.hidden[box.checked ? "delete" : "add"](line.key); redraw(); });
    const label = make("label", {}, box);
    if (several) { const swatch = make("span", { class: "swatch" }); swatch.style.background = colour(number); label.append(swatch); }
    label.append(line.name);
    place.append(label);
  });
  place.hidden = names.length < 2;
}

function controls() {
  document.querySelector(".controls").hidden = data.charts.length === 0;
  const log = document.getElementById("log"), smooth = document.getElementById("smooth"), means = document.getElementById("means");
  log.addEventListener("change", () => { state.log = log.checked; redraw(); });
  smooth.addEventListener("input", () => { state.smooth = Number(smooth.value); document.getElementById("amount").value = smooth.value; redraw(); });
  means.hidden = data.groups.length === 0;
  const box = means.querySelector("input");
  box.checked = state.means;
  box.addEventListener("change", () => { state.means = box.checked; state.hidden.clear(); chips(); redraw(); });
  document.querySelector(".controls").addEventListener("submit", event => event.preventDefault());
}

function theme() {
  const button = document.getElementById("theme"), said = { "": "as the system says", light: "light", dark: "dark" };
  button.hidden = false;
  button.addEventListener("click", () => {
    const now = root.dataset.theme || "", other = dark.matches ? "light" : "dark";
    const next = now === "" ? other : now === other ? (other === "light" ? "dark" : "light") : "";
    if (next) root.dataset.theme = next; else delete root.dataset.theme;
    button.setAttribute("aria-label", `Theme: ${said[next]}`);
    button.title = `Theme: ${said[next]}`;
    chips();
    redraw();
  });
  dark.addEventListener("change", () => { chips(); redraw(); });
}

function shades() {
  for (const cell of document.querySelectorAll("td[data-share]")) {
    cell.style.setProperty("--share", cell.dataset.share);
    cell.classList.toggle("deep", Number(cell.dataset.share) > .6);
  }
}

function paper() {
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach(one => { one.open = true; });
    drawings.forEach(one => {
      state.paper = one.plot.closest(".charts") ? 320 : 660;
      if (one.drawn) one.paint(); else draw(one);
    });
  });
  addEventListener("afterprint", () => {
    closed.forEach(one => { one.open = false; });
    state.paper = 0;
    redraw();
  });
}

// A link to a run opens it.
function open() {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) { target.open = true; target.scrollIntoView(); }
}

chips();
controls();
curves();
layers();
shades();
theme();
paper();
addEventListener("hashchange", open);
open();
root.dataset.ready = "yes";
})();
