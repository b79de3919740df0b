/* Draws `run` (see report.py). Every chart is an SVG string of a few marks; `points` are what the pointer can find in it. */

const DAY = 86400000;
const TIER = ["unknown", "present", "personal", "private", "purchase", "protected"];
const DASHES = ["", "5 3", "1 3"];
const HAPPENED = {join: "joins", leave: "leaves", erase: "erased", phone: "phone", device: "device", done: "adapted", enrol: "enrolled", "dead letter": "✕",
  "alert updated": "updated", "alert resolved": "resolved", "alert expired": "expired"};
const BAD = ["dead letter", "alarm", "alert"];

/* ---- words and numbers ---- */

const $ = id => document.getElementById(id);
const safe = text => String(text).replace(/[&<>"]/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}[c]));
const percent = (p, digits = 0) => p > .995 && p < 1 && !digits ? "> 99 %" : (100 * p).toFixed(digits) + " %";
const date = t => new Date(t).toLocaleString("en-GB", {timeZone: "UTC", day: "numeric", month: "short"});
const clock = t => date(t) + ", " + new Date(t).toISOString().slice(11, 16);
const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
const words = answer => answer.ranked.map(([person, p]) => `${safe(person)} ${percent(p)}`).join(", ");
const share = t => (t - run.begin) / (run.end - run.begin);  // of the whole time
const days = (run.end - run.begin) / DAY;

function colour(home, at) {
  return at === home.people.length - 1 ? "var(--guest)" : at < 0 ? "var(--soft)" : `var(--p${at % 8})`;
}
const colourOf = (home, person) => colour(home, home.people.indexOf(person));

/* How sure a probability is, 0 to 1 with .5 in the middle: log odds, so that 90, 99 and 99.7 % are told apart. */
const LEAST = .003;
function sureness(p) {
  const q = Math.min(1 - LEAST, Math.max(LEAST, p));
  return .5 + Math.log(q / (1 - q)) / (2 * Math.log(1 / LEAST - 1));
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

function calendar(x, top, bottom) {
  const step = days > 16 ? 7 : days > 6 ? 2 : 1, out = [];
  for (let t = run.begin; t <= run.end; t += step * DAY) {
    out.push(line(x(t), top, x(t), bottom, "var(--faint)"), text(x(t), bottom + 16, date(t), {"text-anchor": "middle"}));
  }
  return out.join("");
}

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

function nearest(element, points) {
  const find = event => {
    const box = element.querySelector("svg").getBoundingClientRect();
    const x = event.clientX - box.left, y = event.clientY - box.top;
    let best = null, least = 18 * 18;
    for (const p of points) {
      const distance = (p.x - x) ** 2 + (p.y - y) ** 2;
      if (distance < least) [least, best] = [distance, p];
    }
    best ? showTip(best.tip(), event.clientX, event.clientY) : hideTip();
  };
  element.onpointermove = element.onpointerdown = find;
  element.onpointerleave = hideTip;
}

/* ---- the homes ---- */

function houseIcon(home) {
  const lit = home.people.slice(0, -1).slice(0, 4).map((_, i) =>
    `<rect x="${6.5 + 6.5 * (i % 2)}" y="${12 + 6 * (i >> 1)}" width="4.5" height="4" rx=".8" fill="${colour(home, i)}"/>`);
  const walls = '<path d="M2 11.2 12 2.6 22 11.2V22.4H2Z" fill="var(--faint)" stroke="var(--soft)" stroke-width="1.1" stroke-linejoin="round"/>';
  return svg(24, 24, walls + lit.join(""), "");
}

function sparkline(home) {
  const w = 230, h = 34, right = new Map(), total = new Map();
  for (const [t, lane, best] of home.events) {
    const day = Math.floor((t - run.begin) / DAY);
    right.set(day, (right.get(day) || 0) + (lane === best));
    total.set(day, (total.get(day) || 0) + 1);
  }
  const known = [...total.keys()].sort((a, b) => a - b), sum = (counts, near) => near.reduce((s, day) => s + counts.get(day), 0);
  const points = known.map((day, i) => {
    const near = known.slice(Math.max(0, i - 2), i + 3);
    return [day / Math.max(1, days - 1) * w, h - 2 - (h - 4) * Math.max(0, sum(right, near) / sum(total, near) - .5) / .5];
  });
  const d = trail(points);
  return svg(w, h, area(`${d}L${points.at(-1)[0]} ${h}L${points[0][0]} ${h}`, "var(--accent)") + path(d, "var(--accent)", {"stroke-width": 1.6}),
    "right answers by day", {preserveAspectRatio: "none", style: "width:100%"});
}

const alerted = home => home.change.marks.some(mark => mark.kind === "alert");

function street() {
  $("street").innerHTML = run.homes.map((home, i) => `<button class="house" data-home="${i}">
    <header>${houseIcon(home)}<b>${safe(home.id)}</b><i>${home.right === null ? "" : percent(home.right)}</i></header>
    <p>${alerted(home) ? '<span class="tag bad">alert</span> ' : ""}${safe(home.story)}</p>${home.judged ? sparkline(home) : ""}</button>`).join("");
  $("choice").innerHTML = run.homes.map((home, i) => `<option value="${i}">${safe(home.id)}</option>`).join("");
  $("choice").onchange = event => pick(+event.target.value);
  $("street").onclick = event => {
    const house = event.target.closest(".house");
    if (!house) return;
    pick(+house.dataset.home);
    $("home-part").scrollIntoView({behavior: "smooth"});
  };
}

/* ---- one home ---- */

/* The home that was asked for, else the first of which there is an alert. */
const asked = run.homes.findIndex(home => "#" + home.id === location.hash);
let chosen = Math.max(0, asked < 0 ? run.homes.findIndex(alerted) : asked);

function pick(index) {
  history.replaceState(null, "", "#" + run.homes[index].id);
  choose(index);
}

function choose(index) {
  chosen = index;
  const home = run.homes[index], {n, known, true: held} = home.labels;
  document.querySelectorAll(".house").forEach((house, i) => house.setAttribute("aria-pressed", i === index));
  $("choice").value = index;
  $("home-name").textContent = home.id;
  $("home-story").textContent = [
    home.story,
    home.right === null ? "" : `Right in ${percent(home.right, 1)} of ${plural(home.judged, "answer")}.`,
    n ? `${plural(n, "event")} labelled without asking${known ? `, ${held} of them rightly` : ""}.` : "",
  ].filter(Boolean).join(" ");
  for (const draw of [lanes, remarks, happened, changes, drift, confusion]) draw(home);
}

function told(f) {
  const others = f.others ? `${plural(f.others, "other answer")} revised with it` : "";
  if (!f.before) return others || (f.agreed ? "the answer had said so" : "no published answer changed");
  return `revision ${f.before.revision}: ${words(f.before)}<br>revision ${f.after.revision}: ${words(f.after)}${others && "<br>" + others}`;
}

function toldOfEvent(home, [t, lane, best, pBest, p, tier, isNamed, revised, seen, id]) {
  const who = safe(home.people[lane]);
  return [
    `<b>${run.judged ? "It was " : ""}${who}</b> · ${clock(t)} · ${safe(id)}`,
    best === lane ? `given ${percent(p / 1000)}` : `taken for ${safe(home.people[best])} (${percent(pBest / 1000)}); ${who} got ${percent(p / 1000)}`,
    `level ${tier}, ${TIER[tier]}${isNamed ? "" : ", nobody named"}`,
    seen ? "from " + safe(seen.replaceAll("+", ", ")) : "nothing to go by",
    revised ? `revised ${revised} ×` : "",
  ].filter(Boolean).join("<br>");
}

/* What happened, in groups so far apart that the words over them do not lie on each other. */
const LETTER = 6.2;  // pixels, about
const wide = group => group.words.join(", ").length * LETTER;
function together(happenings, x) {
  const groups = [];
  for (const h of happenings) {
    const word = HAPPENED[h.kind] || h.kind, last = groups.at(-1);
    if (!last || x(h.t) > last.x + wide(last) + LETTER) groups.push({x: x(h.t), all: [h], words: [word]});
    else if (last.all.push(h) && !last.words.includes(word)) last.words.push(word);
  }
  return groups;
}

/* The words of a group, beginning at its place or ending with the plot. */
function label(group, y, right, fill) {
  return text(Math.max(0, Math.min(group.x - 3, right - wide(group))), y, safe(group.words.join(", ")), {style: `fill:var(--${fill})`});
}

function lanes(home) {
  const w = Math.max(640, $("lanes").parentElement.clientWidth), left = 104, right = 10, top = 26, tall = 92, gap = 20;
  const guest = home.people.length - 1, shown = home.people.map((_, at) => at).filter(at => at < guest || home.events.some(e => e[1] === at));
  const bottom = top + shown.length * (tall + gap), x = t => left + share(t) * (w - left - right);
  const floor = at => top + shown.indexOf(at) * (tall + gap) + tall, y = (at, p) => floor(at) - sureness(p) * tall;
  const points = [], parts = [calendar(x, top - 6, bottom)];

  for (const at of shown) {
    const own = home.events.filter(e => e[1] === at);
    parts.push(text(0, floor(at) - tall / 2 + 4, safe(home.people[at]), {class: "ink"}));
    for (const p of [.01, .1, .5, .9, .99]) {
      parts.push(line(left, y(at, p), w - right, y(at, p), `var(--${p === .5 ? "line" : "faint"})`));
      parts.push(text(left - 8, y(at, p) + 3.5, percent(p), {"text-anchor": "end", "font-size": 10}));
    }
    const mean = own.map((e, i) => {
      const near = own.slice(Math.max(0, i - 4), i + 5);
      return [x(e[0]), floor(at) - tall * near.reduce((s, n) => s + sureness(n[4] / 1000), 0) / near.length];
    });
    parts.push(path(trail(mean), colour(home, at), {opacity: .55, "stroke-width": 1.6}));
    for (const e of own) {
      const [t, , best, , p] = e, look = best === at ? {opacity: .8} : {stroke: "var(--ink)", "stroke-width": .9};
      parts.push(circle(x(t), y(at, p / 1000), best === at ? 2.6 : 3.6, {fill: colour(home, best), ...look}));
      points.push({x: x(t), y: y(at, p / 1000), tip: () => toldOfEvent(home, e)});
    }
  }

  const later = home.happenings.filter(h => h.t > run.begin + 1.5 * DAY);  // the first evening would fill the margin
  for (const group of together(later, x)) {
    const cx = group.x, bad = group.all.every(h => h.kind === "dead letter");
    parts.push(line(cx, top - 8, cx, bottom - gap, "var(--soft)", {"stroke-dasharray": "3 3", opacity: bad ? .25 : .7}));
    parts.push(label(group, top - 12, w, bad ? "bad" : "ink"));
    points.push({x: cx, y: top - 14, tip: () => group.all.map(h => `${clock(h.t)}: ${safe(h.text)}`).join("<br>")});
  }

  for (const f of home.feedback) {
    if (f.lane === null || f.eventAt === null) continue;
    const cx = x(f.eventAt), base = floor(f.lane) + 4, fill = f.honest === false ? "var(--bad)" : "var(--accent)";
    if (f.lift) {
      const [from, to] = f.lift.map(p => y(f.lane, p));
      parts.push(line(cx, from, cx, to, fill, {"stroke-width": 1.3, opacity: .75}));
      parts.push(circle(cx, to, 2.4, {fill: "var(--card)", stroke: fill, "stroke-width": 1.3}));
    }
    parts.push(triangle(cx, base, f.before || f.others ? fill : "none", fill));
    const title = `<b>${safe(f.source)}: ${safe(f.text)}</b>${f.honest === false ? " (not true)" : ""}`;
    points.push({x: cx, y: base + 4, tip: () => `${title}<br>said ${clock(f.t)}<br>${told(f)}`});
  }

  $("lanes-note").textContent = (run.judged ? "A lane is who it truly was; the height of a dot is the probability given to that person."
    : "A lane is the most probable person; the height of a dot is that probability.")
    + " The line is the mean of nine answers; the scale is stretched near 0 and 100 %. Hover or touch for what was known.";
  $("people").innerHTML = home.people.map((person, i) => `<span><span class="dot" style="background:${colour(home, i)}"></span>${safe(person)}</span>`).join("");
  $("lanes").innerHTML = svg(w, bottom + 22, parts.join(""), "probability of each person over time");
  $("lanes-key").innerHTML = legend().map(([mark, meaning]) => `<span>${svg(16, 14, mark, "")}${meaning}</span>`).join("");
  nearest($("lanes"), points);
}

function legend() {
  const judged = [
    [circle(8, 7, 3.6, {fill: "var(--p1)", stroke: "var(--ink)"}), "somebody else came first"],
    [triangle(8, 3, "var(--bad)", "var(--bad)"), "a claim that was not true"],
  ];
  return [
    [circle(8, 7, 3, {fill: "var(--p0)"}), "an answer, coloured by who came first"],
    [triangle(8, 3, "var(--accent)", "var(--accent)"), "feedback that changed answers"],
    [triangle(8, 3, "none", "var(--accent)"), "feedback that changed none"],
    [line(8, 1, 8, 9, "var(--accent)") + circle(8, 11, 2, {fill: "none", stroke: "var(--accent)"}), "where feedback moved the answer to"],
    ...(run.judged ? judged : []),
  ];
}

function stack(home, answer) {
  const pieces = answer.ranked.filter(([, p]) => p > .004).map(([person, p]) =>
    `<span style="flex:${p};background:${colourOf(home, person)}">${p > .3 ? safe(person) + " " + percent(p) : ""}</span>`);
  return `<div class="stack" title="${words(answer)}">${pieces.join("")}</div>`;
}

function entry(t, words, tag, bad, below) {
  return `<li><time>${clock(t)}</time><div>${safe(words)} <span class="tag${bad ? " bad" : ""}">${safe(tag)}</span>${below}</div></li>`;
}

function remarks(home) {
  const changed = home.feedback.filter(f => f.before || f.others).length;
  $("feedback-note").textContent = home.feedback.length ? `${plural(home.feedback.length, "remark")} about answers; ${changed} changed something.`
    : "Nobody said anything about an answer.";
  $("feedback").innerHTML = [...home.feedback].sort((a, b) => a.t - b.t).map(f => entry(f.t, f.text, f.source, false,
    (f.honest === false ? ' <span class="tag bad">not true</span>' : "")
    + (f.before ? `<div class="shift">${stack(home, f.before)}<span>→</span>${stack(home, f.after)}</div>` : "")
    + (!f.before || f.others ? `<div class="note">${told({...f, before: null})}</div>` : ""))).join("");
}

function happened(home) {
  const dead = home.happenings.filter(h => h.kind === "dead letter").length;
  $("happened-note").textContent = "Joining, leaving, phones, devices, what was noticed" + (dead ? `, and ${plural(dead, "record")} that nobody could read.` : ".");
  $("happened").innerHTML = home.happenings.map(h => entry(h.t, h.text, h.kind, BAD.includes(h.kind),
    h.others ? ` <span class="note">${plural(h.others, "answer")} revised</span>` : "")).join("");
}

function changes(home) {
  const {lines, marks, alarm} = home.change, w = Math.max(280, $("change").clientWidth), h = 210, left = 52, right = 10, floor = h - 28;
  $("change-card").hidden = !lines.length;
  if (!lines.length) return;
  const top = Math.max(alarm + 2, ...lines.flatMap(l => l.points.map(p => p[1]))), low = -3, points = [];
  const x = t => left + share(t) * (w - left - right), y = v => 30 + (top - v) / (top - low) * (floor - 30), parts = [calendar(x, 24, floor)];
  for (let times = 1; Math.log(times) < top; times *= 10) {
    const at = y(Math.log(times));
    parts.push(line(left, at, w - right, at, "var(--faint)"), text(left - 6, at + 4, factor(times), {"text-anchor": "end"}));
  }
  parts.push(line(left, y(alarm), w - right, y(alarm), "var(--bad)", {"stroke-dasharray": "4 4"}));
  parts.push(text(left + 4, y(alarm) - 5, "alarm", {style: "fill:var(--bad)"}));
  for (const m of marks) parts.push(line(x(m.t), 24, x(m.t), floor, ofMark(m), {opacity: .5}));
  for (const group of together(marks, x)) {
    parts.push(label(group, 16, w, "ink"));
    points.push({x: group.x, y: 14, tip: () => group.all.map(m => `${clock(m.t)}: ${safe(m.text)}`).join("<br>")});
  }
  lines.forEach((l, i) => {
    const at = l.points.map(([t, v]) => [x(t), y(v)]), fill = `var(--p${i % 8})`;
    parts.push(path(trail(at), fill));
    l.points.forEach(([t, v], n) => {
      parts.push(circle(...at[n], 2.4, {fill}));
      points.push({x: at[n][0], y: at[n][1], tip: () => `<b>${safe(l.name)}</b> · ${clock(t)}<br>${v < 0 ? "no evidence of change" : `evidence: ${factor(Math.exp(v))}`}`});
    });
  });
  const key = lines.map((l, i) => `<span><span class="dot" style="background:var(--p${i % 8})"></span>${safe(l.name)}</span>`);
  $("change").innerHTML = svg(w, h, parts.join(""), "evidence of change over time") + `<div class="key">${key.join("")}</div>`;
  $("change-marks").innerHTML = marks.map(m => entry(m.t, m.text, HAPPENED[m.kind] || m.kind, BAD.includes(m.kind), "")).join("")
    || '<li class="note">Notable for a while, and never enough for an alarm.</li>';
  nearest($("change"), points);
}

const factor = times => `${Math.round(times).toLocaleString("en")} ×`;
const ofMark = mark => BAD.includes(mark.kind) ? "var(--bad)" : "var(--accent)";

function drift(home) {
  const w = Math.max(280, $("drift").clientWidth), row = 78, tall = row - 26, left = 84, gap = 60, right = 34, narrow = w < 520;
  const split = left + .6 * (w - left - gap - right), x = t => left + share(t) * (split - left), x2 = t => split + gap + share(t) * (w - right - split - gap);
  const shown = home.profiles.filter(p => p.points.length > 1), all = shown.flatMap(p => p.points), points = [], parts = [];
  if (!shown.length) {
    $("drift").innerHTML = '<p class="note">No profile was published more than once.</p>';
    return;
  }
  const encoders = [...new Set(all.flatMap(q => Object.keys(q.away)))].sort(), most = Math.max(.01, ...all.map(q => q.drift));
  const tops = Object.fromEntries(encoders.map(e => [e, Math.max(.001, ...all.map(q => q.away[e] || 0))]));

  shown.forEach((profile, i) => {
    const base = (i + 1) * row - 10, fill = colourOf(home, profile.person), name = `<b>${safe(profile.person)}</b>`;
    const health = q => `health: drift ${q.drift.toFixed(2)}, trust ${q.trust.toFixed(2)}, ${Math.round(q.events)} events`;
    parts.push(text(0, base - 18, safe(profile.person), {class: "ink"}), text(0, base - 3, plural(profile.revisions, "revision")));
    parts.push(line(left, base, split, base, "var(--line)"), line(split + gap, base, w - right, base, "var(--line)"));
    encoders.forEach((encoder, k) => {
      const known = profile.points.filter(q => encoder in q.away), y = v => base - v / tops[encoder] * tall;
      if (!known.length) return;
      for (const q of known) {
        const at = x(q.t) + 3 * k, moves = `${q.away[encoder].toFixed(4)} from the first, ${q.moved[encoder].toFixed(4)} from the one before`;
        parts.push(line(at, base, at, y(q.moved[encoder]), fill, {opacity: .35, "stroke-width": 2}));
        points.push({x: x(q.t), y: y(q.away[encoder]), tip: () => `${name} · ${clock(q.t)}<br>${safe(encoder)}: ${moves}<br>${health(q)}`});
      }
      parts.push(path(trail(known.map(q => [x(q.t), y(q.away[encoder])])), fill, {"stroke-dasharray": DASHES[k % 3]}));
      parts.push(text(split + 5, base - 2 - 13 * k, known.at(-1).away[encoder].toFixed(3)));
    });
    const own = profile.points.map(q => [x2(q.t), base - q.drift / most * tall]);
    parts.push(path(trail(own), fill), text(w - right + 5, own.at(-1)[1] + 4, profile.points.at(-1).drift.toFixed(2)));
    profile.points.forEach((q, n) => {
      parts.push(circle(...own[n], 2.2, {fill}));
      points.push({x: own[n][0], y: own[n][1], tip: () => `${name} · ${clock(q.t)}<br>${health(q)}`});
    });
    if (profile.gone !== null) {
      parts.push(line(x(profile.gone), base - tall, x(profile.gone), base, "var(--bad)"));
      parts.push(text(x(profile.gone) + 5, base - tall + 10, "tombstone", {style: "fill:var(--bad)"}));
    }
  });

  const floor = shown.length * row - 4;
  for (const scale of narrow ? [x] : [x, x2]) {
    parts.push(text(scale(run.begin), floor + 14, date(run.begin)), text(scale(run.end), floor + 14, date(run.end - DAY), {"text-anchor": "end"}));
  }
  parts.push(text(left, 8, narrow ? "distance" : "distance from the first (bars: from the one before)"));
  parts.push(text(split + gap, 8, narrow ? "drift" : "drift, as its health says"));
  const key = encoders.map((encoder, k) => `<span>${svg(26, 8, line(0, 4, 26, 4, "currentColor", {"stroke-width": 1.8, "stroke-dasharray": DASHES[k % 3]}), "")}
    ${safe(encoder)} (up to ${tops[encoder].toFixed(3)})</span>`);
  $("drift").innerHTML = svg(w, floor + 20, parts.join(""), "movement of profiles") + `<div class="key">${key.join("")}</div>`;
  nearest($("drift"), points);
}

function confusion(home) {
  $("confusion-card").hidden = !home.confusion.length;
  const head = home.people.map(person => `<th scope="col">${safe(person)}</th>`).join("");
  const rows = home.confusion.map((counts, i) => {
    const total = counts.reduce((a, b) => a + b, 0) || 1;
    const cells = counts.map((n, j) => {
      const tint = `color-mix(in srgb, var(--${i === j ? "accent" : "bad"}) ${n ? Math.round(12 + 62 * n / total) : 0}%, var(--faint))`;
      return `<td style="background:${tint}">${n || ""}</td>`;
    });
    return `<tr><th scope="row">${safe(home.people[i])}</th>${cells.join("")}</tr>`;
  });
  $("confusion").innerHTML = `<table><tr><th></th>${head}</tr>${rows.join("")}</table>`;
}

/* ---- all homes ---- */

function calibration() {
  const w = Math.min(340, $("calibration").clientWidth), side = w - 44, x = p => 36 + p * side, y = p => 8 + (1 - p) * side;
  const points = [], parts = [], most = Math.max(...run.calibration.map(b => b.n));
  for (const p of [0, .25, .5, .75, 1]) {
    parts.push(line(x(0), y(p), x(1), y(p), "var(--faint)"), text(30, y(p) + 4, 100 * p, {"text-anchor": "end"}));
    parts.push(text(x(p), side + 24, 100 * p, {"text-anchor": "middle"}));
  }
  parts.push(line(x(0), y(0), x(1), y(1), "var(--soft)", {"stroke-dasharray": "4 4"}));
  parts.push(path(trail(run.calibration.map(b => [x(b.said), y(b.true)])), "var(--accent)", {"stroke-width": 1.4, opacity: .5}));
  for (const b of run.calibration) {
    parts.push(line(x(b.said), y(b.low), x(b.said), y(b.high), "var(--accent)", {opacity: .6}));
    parts.push(circle(x(b.said), y(b.true), 3 + 5 * Math.sqrt(b.n / most), {fill: "var(--accent)"}));
    const sure = `95 %: ${percent(b.low, 1)} to ${percent(b.high, 1)}`;
    points.push({x: x(b.said), y: y(b.true),
      tip: () => `said ${percent(b.said, 1)}, true ${percent(b.true, 1)}<br>${b.n.toLocaleString("en")} probabilities<br>${sure}`});
  }
  parts.push(text(x(.5), side + 42, "said, %", {"text-anchor": "middle"}));
  parts.push(text(0, 0, "true, %", {"text-anchor": "middle", transform: `translate(8 ${y(.5)}) rotate(-90)`}));
  $("calibration").innerHTML = svg(w, side + 48, parts.join(""), "calibration");
  nearest($("calibration"), points);
}

function bar(label, part, bad, words, note) {
  return `<div><small>${label}</small><div class="bar"><i class="${bad ? "bad" : ""}" style="width:${Math.min(100, 100 * part)}%"></i></div>
    ${words} <small>${note}</small></div>`;
}

function tiers() {
  const error = (label, n, of, budget) => {
    const errors = of ? n / of : 0, allowed = +(100 * budget).toPrecision(2);
    return bar(label, errors / budget, errors > budget, percent(errors, 2), `of ${allowed} % allowed (${n} of ${of.toLocaleString("en")})`);
  };
  $("tiers").innerHTML = run.tiers.map(t => {
    const covered = t.members ? t.covered / t.members : 0;
    return `<div class="tier"><div><b>${t.tier} · ${t.name}</b><small>${t.use}</small></div>
      ${bar("reached", covered, false, percent(covered, 1), "of member answers")}
      ${error("guests taken for a member", t.fooled, t.guests, t.budget)}${error("members taken for another", t.wrong, t.members, t.budget)}</div>`;
  }).join("");
}

function byDay() {
  const w = Math.max(280, $("days").clientWidth), h = 150, left = 44, x = t => left + share(t) * (w - left - 8);
  const least = Math.max(0, Math.floor(10 * Math.min(...run.days.map(d => d.right)) - .5) / 10);
  const y = p => 10 + (1 - p) / (1 - least) * (h - 34), noon = d => run.begin + (d.day + .5) * DAY;
  const points = run.days.map(d => ({x: x(noon(d)), y: y(d.right),
    tip: () => `<b>${date(noon(d))}</b><br>${percent(d.right, 1)} of ${plural(d.n, "answer")}`}));
  const d = trail(points.map(p => [p.x, p.y])), parts = [calendar(x, 10, h - 24)];
  for (const p of [least, (1 + least) / 2, 1]) {
    parts.push(line(left, y(p), w - 8, y(p), "var(--faint)"), text(left - 6, y(p) + 4, percent(p), {"text-anchor": "end"}));
  }
  parts.push(area(`${d}L${points.at(-1).x} ${y(least)}L${points[0].x} ${y(least)}`, "var(--accent)"), path(d, "var(--accent)"));
  parts.push(...points.map(p => circle(p.x, p.y, 2.6, {fill: "var(--accent)"})));
  $("days").innerHTML = svg(w, h + 4, parts.join(""), "right answers by day");
  nearest($("days"), points);
}

/* ---- the page ---- */

function draw() {
  if (run.homes.length) choose(chosen);
  if (run.judged) for (const chart of [calibration, tiers, byDay]) chart();
}

$("headline").textContent = run.headline;
$("lead").textContent = run.lead;
$("tiles").innerHTML = run.tiles.map(t => `<div><b>${safe(t.value)}</b><span>${safe(t.name)}</span><small>${safe(t.note)}</small></div>`).join("");
$("quality-part").hidden = $("homes-note").hidden = !run.judged;
$("street-part").hidden = $("home-part").hidden = !run.homes.length;
document.title = "kithkin: " + run.headline;
street();
draw();

let waiting = 0;
addEventListener("resize", () => {
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(draw);
});
addEventListener("scroll", hideTip, {passive: true});
