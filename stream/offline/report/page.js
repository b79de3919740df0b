/* What all pictures share: words, marks, the time that is shown, the pointer, tables. Every picture is an SVG string of a few marks;
   `points` are what the pointer can find in it. `run` is what report.page made. */

const HOUR = 3600000, DAY = 24 * HOUR;
const TIER = ["unknown", "present", "personal", "private", "purchase", "protected"];
const DASHES = ["", "5 3", "1 3"];
const HAPPENED = {join: "joins", leave: "leaves", erase: "erased", phone: "phone", device: "device", done: "adapted", enrol: "enrolled", "dead letter": "✕",
  "alert updated": "updated", "alert resolved": "resolved", "alert expired": "expired"};
const BAD = ["dead letter", "alarm", "alert"];
const truth = run.by === "truth";

/* ---- words and numbers ---- */

const $ = id => document.getElementById(id);
const safe = text => String(text).replace(/[&<>"]/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}[c]));
const percent = (p, digits = 0) => p > .995 && p < 1 && !digits ? "> 99 %" : (100 * p).toFixed(digits) + " %";
const fine = p => percent(p, p > .9995 ? 3 : p > .99 ? 2 : 1);
const date = t => new Date(t).toLocaleString("en-GB", {timeZone: "UTC", day: "numeric", month: "short"});
const hour = t => new Date(t).toISOString().slice(11, 16);
const clock = t => date(t) + ", " + hour(t);
const iso = t => new Date(t).toISOString();
const plural = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
const words = answer => answer.ranked.map(([person, p]) => `${safe(person)} ${percent(p)}`).join(", ");
const logOdds = p => Math.log(p / (1 - p));
const nats = p => p <= 0 || p >= 1 ? "beyond counting" : `${logOdds(p) < 0 ? "−" : "+"}${Math.abs(logOdds(p)).toFixed(1)} nats`;

function colour(home, at) {
  return at === home.people.length - 1 ? "var(--guest)" : at < 0 ? "var(--soft)" : `var(--p${at % 8})`;
}
const colourOf = (home, person) => colour(home, home.people.indexOf(person));

/* How high a probability stands, 0 to 1: its log odds from .1 to 99.99 %, so that levels 3 (99.5 %) and 4 (99.95 %) are told apart. */
const LEAST = .001, MOST = .9999;
const sureness = p => (logOdds(Math.min(MOST, Math.max(LEAST, p))) - logOdds(LEAST)) / (logOdds(MOST) - logOdds(LEAST));

/* ---- the time that is shown ---- */

const view = {from: run.begin, to: run.end};
const share = t => (t - view.from) / (view.to - view.from);  // of the time that is shown
const shown = t => t >= view.from && t <= view.to;
const isWhole = () => view.from === run.begin && view.to === run.end;

/* Times to write under a plot, so far apart that their words do not touch. */
function ticks(pixels) {
  const span = view.to - view.from, most = Math.max(2, Math.floor(pixels / 64));
  const step = [1, 3, 6, 12, 24, 48, 168, 336, 672, 2184, 8736].map(h => h * HOUR).find(s => span / s <= most) || 17472 * HOUR;
  const out = [];
  for (let t = Math.ceil((view.from - run.begin) / step) * step + run.begin; t <= view.to; t += step) out.push(t);
  return {times: out, word: t => step < DAY && (t - run.begin) % DAY ? hour(t) : date(t)};
}

/* ---- marks ---- */

const attributes = given => Object.entries(given).map(([name, value]) => ` ${name}="${value}"`).join("");
const line = (x1, y1, x2, y2, stroke, more = {}) => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${stroke}"${attributes(more)}/>`;
const circle = (x, y, r, more) => `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${r}"${attributes(more)}/>`;
const text = (x, y, body, more = {}) => `<text x="${x}" y="${y}"${attributes(more)}>${body}</text>`;
const trail = points => points.map(([x, y], i) => (i ? "L" : "M") + x.toFixed(1) + " " + y.toFixed(1)).join("");
const path = (d, stroke, more = {}) => `<path d="${d}" fill="none" stroke="${stroke}"${attributes({"stroke-width": 1.8, "stroke-linejoin": "round", ...more})}/>`;
const area = (d, fill) => `<path d="${d}Z" fill="${fill}" opacity=".1"/>`;
const triangle = (x, y, fill, stroke) => `<path d="M${x} ${y}l4 7h-8Z" fill="${fill}" stroke="${stroke}"/>`;
const svg = (w, h, body, label, more = {}) =>
  `<svg width="${w}" height="${h}" viewBox="0 0 ${w} ${h}" role="img" aria-label="${safe(label)}"${attributes(more)}>${body}</svg>`;

/* Lines at days or hours, with their words, none of which leaves the plot. */
function calendar(x, top, bottom, left, right) {
  const {times, word} = ticks(right - left);
  return times.map(t => {
    const half = word(t).length * LETTER / 2, at = Math.max(left - 30 + half, Math.min(right - half + 8, x(t)));
    return line(x(t), top, x(t), bottom, "var(--faint)") + text(at, bottom + 16, word(t), {"text-anchor": "middle"});
  }).join("");
}

/* What happened, in groups so far apart that the words over them do not lie on each other. */
const LETTER = 6.4;  // pixels, about
const wide = group => group.word.length * LETTER;
function together(happenings, x, left, right) {
  const groups = [];
  const put = (group, all) => {
    const kinds = [...new Set(all.map(h => HAPPENED[h.kind] || h.kind))].join(", ");
    group.all = all;
    group.word = kinds.length * LETTER > (right - left) / 3 ? plural(all.length, "thing") : kinds;
    group.start = Math.max(left, Math.min(group.x - 3, right - wide(group)));
  };
  for (const h of [...happenings].sort((a, b) => a.t - b.t)) {
    let group = {x: x(h.t)};
    put(group, [h]);
    while (groups.length && group.start < groups.at(-1).start + wide(groups.at(-1)) + 2 * LETTER) {
      const last = groups.pop();
      put(last, [...last.all, ...group.all]);
      group = last;
    }
    groups.push(group);
  }
  return groups;
}
const label = (group, y, fill) => text(group.start, y, safe(group.word), {style: `fill:var(--${fill})`});

/* ---- the pointer ---- */

const tip = $("tip");
function showTip(html, x, y) {
  tip.innerHTML = html;
  tip.style.opacity = 1;
  const w = tip.offsetWidth, h = tip.offsetHeight;
  tip.style.left = Math.max(6, Math.min(innerWidth - w - 6, x + 14)) + "px";
  tip.style.top = (y + h + 24 > innerHeight ? y - h - 12 : y + 16) + "px";
}
const hideTip = () => { tip.style.opacity = 0; };

function nearest(element, points, chosen = () => {}) {
  const find = event => {
    const box = element.querySelector("svg").getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let best = null, least = 18 * 18;
    for (const p of points) {
      const distance = (p.x - x) ** 2 + (p.y - y) ** 2;
      if (distance < least) [least, best] = [distance, p];
    }
    return best;
  };
  element.onpointermove = element.onpointerdown = event => {
    const best = find(event);
    best ? showTip(best.tip(), event.clientX, event.clientY) : hideTip();
  };
  element.onpointerleave = hideTip;
  element.onclick = event => {
    const best = find(event);
    if (best) chosen(best);
  };
}

/* Drag along a plot to look at that time alone; twice clicked, it shows all of it. `time` is the inverse of the plot's x. */
function zoomable(element, time) {
  const plot = element.querySelector("svg");
  if (!plot) return;
  element.classList.add("selecting");
  plot.onpointerdown = event => {
    if (event.pointerType === "touch" || event.button) return;
    const box = plot.getBoundingClientRect(), start = event.clientX - box.left;
    const mark = document.createElementNS(plot.namespaceURI, "rect");
    const set = given => Object.entries(given).forEach(([name, value]) => mark.setAttribute(name, value));
    set({y: 0, height: box.height, fill: "var(--accent)", opacity: .15});
    plot.append(mark);
    const end = moved => Math.max(0, Math.min(box.width, moved.clientX - box.left));
    const move = moved => set({x: Math.min(start, end(moved)), width: Math.abs(end(moved) - start)});
    const done = moved => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", done);
      mark.remove();
      if (Math.abs(end(moved) - start) > 8) look(...[time(start), time(end(moved))].sort((a, b) => a - b));
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", done);
  };
  plot.ondblclick = () => look(run.begin, run.end);
}

/* ---- tables, and long lists ---- */

const ROWS_MAX = 200;  // on the page; the CSV has all

/* The table of a picture: below it, made when it is opened. `rows()` are arrays of numbers and words. */
function tabled(id, head, rows) {
  const host = $(id), old = document.querySelector(`details[data-of="${id}"]`), open = Boolean(old && old.open);
  if (old) old.remove();
  const details = document.createElement("details");
  details.className = "data";
  details.dataset.of = id;
  details.innerHTML = "<summary>As a table</summary>";
  details.ontoggle = () => {
    if (!details.open || details.querySelector("table")) return;
    const all = rows(), cells = (row, tag) => `<tr>${row.map(cell => `<${tag}>${safe(cell ?? "")}</${tag}>`).join("")}</tr>`;
    const left = all.length - ROWS_MAX;
    details.insertAdjacentHTML("beforeend", `<button class="csv">CSV, ${plural(all.length, "row")}</button>
      <div class="rows"><table>${cells(head, "th")}${all.slice(0, ROWS_MAX).map(row => cells(row, "td")).join("")}</table></div>
      ${left > 0 ? `<p>${plural(left, "more row")} in the CSV.</p>` : ""}`);
    details.querySelector(".csv").onclick = () => save(`${id}.csv`, [head, ...all]);
  };
  host.after(details);
  details.open = open;
}

function save(name, rows) {
  const quoted = cell => /[",\n]/.test(String(cell ?? "")) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell ?? "");
  const blob = new Blob([rows.map(row => row.map(quoted).join(",") + "\n").join("")], {type: "text/csv"});
  const link = document.createElement("a");
  link.setAttribute("href", URL.createObjectURL(blob));
  link.setAttribute("download", name);
  link.click();
}

const SOME = 8;  // of a list's entries, until all are asked for
function listed(id, entries, none = "") {
  const host = $(id), next = host.nextElementSibling;
  if (next && next.className === "more") next.remove();
  host.innerHTML = entries.slice(0, SOME).join("") || none;
  if (entries.length <= SOME) return;
  const more = document.createElement("button");
  more.className = "more";
  more.textContent = `all ${entries.length.toLocaleString("en")}`;
  more.onclick = () => {
    host.innerHTML = entries.join("");
    more.remove();
  };
  host.after(more);
}
