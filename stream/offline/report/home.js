/* One home: its lanes, why, evidence of change, lists, profiles. */

/* The home that was asked for, else the first of which there is an alert. */
const asked = run.homes.findIndex(home => "#" + home.id === location.hash);
let chosen = Math.max(0, asked < 0 ? run.homes.findIndex(home => home.alerts) : asked);

function pick(index) {
  history.replaceState(null, "", "#" + run.homes[index].id);
  choose(index);
  $("home-part").scrollIntoView({behavior: "smooth"});
}

function choose(index) {
  chosen = index;
  const home = run.homes[index], {n, known, true: held} = home.labels;
  document.querySelectorAll(".house").forEach(house => house.setAttribute("aria-pressed", +house.dataset.home === index));
  $("choice").value = index;
  $("home-name").textContent = home.id;
  $("home-story").textContent = [
    home.story,
    home.right === null ? "" : truth ? `Right in ${percent(home.right, 1)} of ${plural(home.judged, "answer")}.`
      : `People agreed with ${Math.round(home.right * home.judged)} of ${plural(home.judged, "answer")} that they spoke of.`,
    n ? `${plural(n, "event")} labelled without asking${known ? `, ${held} of them rightly` : ""}.` : "",
  ].filter(Boolean).join(" ");
  why(home);
  for (const draw of [remarks, happened, confusion]) draw(home);
  inTime(home);
}

/* ---- the time that is shown ---- */

const midnight = t => iso(t).slice(0, 10);
function look(from, to) {
  [view.from, view.to] = [Math.max(run.begin, from), Math.min(run.end, to)];
  if (!(view.to - view.from > HOUR / 4)) [view.from, view.to] = [run.begin, run.end];
  inTime(run.homes[chosen]);
  if (run.days.length) byDay();
}

function inTime(home) {
  for (const id of ["from", "to"]) [$(id).min, $(id).max] = [midnight(run.begin), midnight(run.end - 1)];
  [$("from").value, $("to").value] = [midnight(view.from), midnight(view.to - 1)];
  $("whole").hidden = isWhole();
  const many = home.events.filter(e => shown(e[0])).length;
  $("time-note").textContent = isWhole() ? "Or drag along a plot; twice clicked, it shows all of it." : `${clock(view.from)} to ${clock(view.to)}: ${plural(many, "answer")}`;
  for (const draw of [lanes, changes, drift]) draw(home);
}
$("from").onchange = () => look(Date.parse($("from").value), view.to);
$("to").onchange = () => look(view.from, Date.parse($("to").value) + DAY);
$("whole").onclick = () => look(run.begin, run.end);

/* ---- how sure it was of whom ---- */

function told(f) {
  const others = f.others ? `${plural(f.others, "other answer")} revised with it` : "";
  if (!f.before) return others || (f.agreed ? "the answer had said so" : "no published answer changed");
  return `revision ${f.before.revision}: ${words(f.before)}<br>revision ${f.after.revision}: ${words(f.after)}${others && "<br>" + others}`;
}

function toldOfEvent(home, [t, lane, best, pBest, p, tier, isNamed, revised, seen, id]) {
  const who = safe(home.people[lane]), odds = q => `${fine(q / PARTS)}, ${nats(q / PARTS)}`;
  return [
    `<b>${truth ? "It was " : ""}${who}</b> · ${clock(t)} · ${safe(id)}`,
    best === lane ? `given ${odds(p)}` : `taken for ${safe(home.people[best])} (${odds(pBest)}); ${who} got ${odds(p)}`,
    `level ${tier}, ${TIER[tier]}${isNamed ? "" : ", nobody named"}`,
    seen ? "from " + safe(seen.replaceAll("+", ", ")) : "nothing to go by",
    revised ? `revised ${revised} ×` : "",
  ].filter(Boolean).join("<br>");
}

const PARTS = 100000;  // of a probability
function lanes(home) {
  const w = Math.max(260, $("lanes").clientWidth), narrow = w < 560, left = narrow ? 46 : 138, right = narrow ? 16 : 62, top = 26, tall = 124;
  const gap = narrow ? 40 : 24, guest = home.people.length - 1;
  const rows = home.people.map((_, at) => at).filter(at => at < guest || home.events.some(e => e[1] === at));
  const above = narrow ? 18 : 0, bottom = top + rows.length * (tall + gap) - gap + above, x = t => left + share(t) * (w - left - right);
  const floor = at => top + above + rows.indexOf(at) * (tall + gap) + tall, y = (at, p) => floor(at) - sureness(p) * tall;
  const points = [], parts = [calendar(x, top - 6, bottom + 6, left, w - right)], open = t => shown(t);

  for (const at of rows) {
    const own = home.events.filter(e => e[1] === at && open(e[0]));
    parts.push(narrow ? text(0, floor(at) - tall - 8, safe(home.people[at]), {class: "ink"}) : text(0, floor(at) - tall / 2 + 4, safe(home.people[at]), {class: "ink"}));
    for (const p of [.01, .5, .9, .99, .999, .9999]) {
      parts.push(line(left, y(at, p), w - right, y(at, p), `var(--${p === .5 ? "line" : "faint"})`));
      parts.push(text(left - 7, y(at, p) + 3.5, +(100 * p).toFixed(2) + " %", {"text-anchor": "end", "font-size": 10}));
    }
    if (at < guest) run.least.slice(1).forEach((p, i) => {
      parts.push(line(left, y(at, p), w - right, y(at, p), "var(--accent)", {"stroke-dasharray": "1 4", opacity: .9}));
      parts.push(text(w - right + 5, y(at, p) + 3.5, narrow ? i + 2 : `${i + 2} ${TIER[i + 2]}`, {"font-size": 10, style: "fill:var(--accent)"}));
    });
    const mean = own.map((e, i) => {
      const near = own.slice(Math.max(0, i - 4), i + 5);
      return [x(e[0]), floor(at) - tall * near.reduce((s, n) => s + sureness(n[4] / PARTS), 0) / near.length];
    });
    parts.push(path(trail(mean), colour(home, at), {opacity: .55, "stroke-width": 1.6}));
    for (const e of own) {
      const [t, , best, , p, , , , , id] = e, look = best === at ? {opacity: .8} : {stroke: "var(--ink)", "stroke-width": .9};
      parts.push(circle(x(t), y(at, p / PARTS), best === at ? 2.6 : 3.6, {fill: colour(home, best), ...look}));
      points.push({x: x(t), y: y(at, p / PARTS), event: id, tip: () => toldOfEvent(home, e)});
    }
  }

  const later = home.happenings.filter(h => open(h.t) && (h.t > run.begin + 1.5 * DAY || !isWhole()));  // the first evening would fill the margin
  for (const group of together(later, x, left, w)) {
    const bad = group.all.every(h => h.kind === "dead letter");
    parts.push(line(group.x, top - 8, group.x, bottom, "var(--soft)", {"stroke-dasharray": "3 3", opacity: bad ? .25 : .7}));
    parts.push(label(group, top - 12, group.all.some(h => h.kind === "alert" || h.kind === "alarm") || bad ? "bad" : "ink"));
    points.push({x: group.start + 8, y: top - 14, tip: () => group.all.slice(0, 8).map(h => `${clock(h.t)}: ${safe(h.text)}`).join("<br>")});
  }

  for (const f of home.feedback) {
    if (f.lane === null || f.eventAt === null || !open(f.eventAt)) continue;
    const cx = x(f.eventAt), base = floor(f.lane) + 4, fill = f.honest === false ? "var(--bad)" : "var(--accent)";
    if (f.lift) {
      const [from, to] = f.lift.map(p => y(f.lane, p));
      parts.push(line(cx, from, cx, to, fill, {"stroke-width": 1.3, opacity: .75}));
      parts.push(circle(cx, to, 2.4, {fill: "var(--card)", stroke: fill, "stroke-width": 1.3}));
    }
    parts.push(triangle(cx, base, f.before || f.others ? fill : "none", fill));
    const title = `<b>${safe(f.source)}: ${safe(f.text)}</b>${f.honest === false ? " (not true)" : ""}`;
    points.push({x: cx, y: base + 4, event: f.event, tip: () => `${title}<br>said ${clock(f.t)}<br>${told(f)}`});
  }

  $("lanes-note").textContent = (truth ? "A lane is who it truly was; the height of a dot is the probability given to that person."
    : "A lane is the most probable person; the height of a dot is that probability.")
    + " The line is the mean of nine answers. The scale is of log odds; dotted lines are the least that a level asks for, which a home's own experience moves a little. Hover, touch or click for what was known.";
  $("people").innerHTML = home.people.map((person, i) => `<span><span class="dot" style="background:${colour(home, i)}"></span>${safe(person)}</span>`).join("");
  $("lanes").innerHTML = svg(w, bottom + 28, parts.join(""), "probability of each person over time");
  $("lanes-key").innerHTML = legend().map(([mark, meaning]) => `<span>${svg(16, 14, mark, "")}${meaning}</span>`).join("");
  nearest($("lanes"), points, point => point.event && explain(home, point.event, true));
  zoomable($("lanes"), at => view.from + (at - left) / (w - left - right) * (view.to - view.from));
  tabled("lanes", ["time", "event", truth ? "who it was" : "who came first", "its probability", "who came first", "its probability", "level", "named", "revised", "modalities"],
    () => home.events.filter(e => open(e[0])).map(e => [iso(e[0]), e[9], home.people[e[1]], e[4] / PARTS, home.people[e[2]], e[3] / PARTS, e[5], e[6] ? "yes" : "no", e[7], e[8]]));
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
    ...(truth ? judged : []),
  ];
}

/* ---- why ---- */

function why(home) {
  const known = Object.keys(run.explained[home.id] || {});
  $("why-card").hidden = !run.folder && !known.length;
  $("why-note").textContent = known.length ? "In nats, for and against: they add up to how sure it was. +0.7 doubles the odds. Chosen were the answers that were wrong, else the most doubtful."
    : "Click an answer above for the command that takes it apart.";
  const event = id => home.events.find(e => e[9] === id);
  $("why-events").innerHTML = known.map(id => {
    const e = event(id);
    return `<button data-event="${safe(id)}">${safe(id)}${e ? ` · ${safe(home.people[e[2]])} ${percent(e[3] / PARTS)}` : ""}</button>`;
  }).join("");
  $("why-events").onclick = click => {
    const button = click.target.closest("button");
    if (button) explain(home, button.dataset.event);
  };
  known.length ? explain(home, known[0]) : $("why").innerHTML = "";
}

function explain(home, id, scroll = false) {
  const told = (run.explained[home.id] || {})[id];
  document.querySelectorAll("#why-events button").forEach(b => b.setAttribute("aria-pressed", b.dataset.event === id));
  const old = document.querySelector('details[data-of="why"]');
  if (old) old.remove();
  if (told) waterfall(home, id, told);
  else if (run.folder) $("why").innerHTML = `<p class="note">${safe(id)} is not taken apart on this page: <code>kithkin why ${safe(id)} ${safe(run.folder)} --household ${safe(home.id)}</code></p>`;
  if (scroll && run.folder) $("why-card").scrollIntoView({behavior: "smooth", block: "nearest"});
}

function waterfall(home, id, told) {
  const w = Math.max(260, $("why").clientWidth), left = w < 560 ? 150 : 190, right = 64, row = 24, sums = [0];
  const event = home.events.find(e => e[9] === id), parts = [];
  for (const [, n] of told.terms) sums.push(sums.at(-1) + n);
  const low = Math.min(...sums), high = Math.max(...sums), x = v => left + (v - low) / (high - low || 1) * (w - left - right);
  told.terms.forEach(([name, n], i) => {
    const y = 6 + i * row, from = x(sums[i]), to = x(sums[i + 1]);
    parts.push(text(0, y + 12, safe(name)));
    parts.push(`<rect x="${Math.min(from, to).toFixed(1)}" y="${y + 2}" width="${Math.max(1, Math.abs(to - from)).toFixed(1)}" height="${row - 9}" rx="2" fill="var(--${n < 0 ? "bad" : "accent"})" opacity=".8"/>`);
    parts.push(line(to, y + 2, to, y + row + 2, "var(--soft)", {opacity: .5}));
    parts.push(text(w - right + 8, y + 12, (n < 0 ? "−" : "+") + Math.abs(n).toFixed(2)));
  });
  const end = 6 + told.terms.length * row, at = x(sums.at(-1));
  parts.push(line(x(0), 0, x(0), end, "var(--line)"), text(0, end + 14, "together", {class: "ink"}), circle(at, end + 9, 3.4, {fill: "var(--ink)"}));
  parts.push(text(w - right + 8, end + 14, (told.nats < 0 ? "−" : "+") + Math.abs(told.nats).toFixed(2), {class: "ink"}));
  $("why").innerHTML = `<p class="note"><b>${safe(id)}</b>, ${event ? clock(event[0]) + ", " : ""}${safe(told.device)}: ${safe(told.subject)} ${fine(told.p)}.
    ${safe(told.held)} ${told.next ? "Next likeliest: " + safe(told.next) + "." : ""}</p>` + svg(w, end + 22, parts.join(""), "what spoke for and against, in nats");
  tabled("why", ["term", "nats"], () => [...told.terms, ["together", told.nats]]);
}

/* ---- lists ---- */

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
  listed("feedback", [...home.feedback].sort((a, b) => a.t - b.t).map(f => entry(f.t, f.text, f.source, false,
    (f.honest === false ? ' <span class="tag bad">not true</span>' : "")
    + (f.before ? `<div class="shift">${stack(home, f.before)}<span>→</span>${stack(home, f.after)}</div>` : "")
    + (!f.before || f.others ? `<div class="note">${told({...f, before: null})}</div>` : ""))));
}

function happened(home) {
  const dead = home.happenings.filter(h => h.kind === "dead letter").length;
  $("happened-note").textContent = "Joining, leaving, phones, devices, what was noticed" + (dead ? `, and ${plural(dead, "record")} that nobody could read.` : ".");
  listed("happened", home.happenings.map(h => entry(h.t, h.text, h.kind, BAD.includes(h.kind),
    h.others ? ` <span class="note">${plural(h.others, "answer")} revised</span>` : "")));
}

/* ---- evidence of change ---- */

function changes(home) {
  const {lines, marks, alarm} = home.change;
  $("change-card").hidden = !lines.length;
  if (!lines.length) return;
  const w = Math.max(280, $("change").clientWidth), h = 210, left = 52, right = 10, floor = h - 28;
  const top = Math.max(alarm + 2, ...lines.flatMap(l => l.points.map(p => p[1]))), low = -3, points = [];
  const x = t => left + share(t) * (w - left - right), y = v => 30 + (top - v) / (top - low) * (floor - 30), parts = [calendar(x, 24, floor, left, w - right)];
  for (let times = 1; Math.log(times) < top; times *= 10) {
    const at = y(Math.log(times));
    parts.push(line(left, at, w - right, at, "var(--faint)"), text(left - 6, at + 4, factor(times), {"text-anchor": "end"}));
  }
  parts.push(line(left, y(alarm), w - right, y(alarm), "var(--bad)", {"stroke-dasharray": "4 4"}));
  parts.push(text(left + 4, y(alarm) - 5, "alarm", {style: "fill:var(--bad)"}));
  const seen = marks.filter(m => shown(m.t));
  for (const m of seen) parts.push(line(x(m.t), 24, x(m.t), floor, ofMark(m), {opacity: .5}));
  for (const group of together(seen, x, left, w)) {
    parts.push(label(group, 16, group.all.some(m => BAD.includes(m.kind)) ? "bad" : "ink"));
    points.push({x: group.start + 8, y: 14, tip: () => group.all.map(m => `${clock(m.t)}: ${safe(m.text)}`).join("<br>")});
  }
  lines.forEach((l, i) => {
    const own = l.points.filter(p => shown(p[0])), at = own.map(([t, v]) => [x(t), y(v)]), fill = `var(--p${i % 8})`;
    parts.push(path(trail(at), fill));
    own.forEach(([t, v], n) => {
      parts.push(circle(...at[n], 2.4, {fill}));
      points.push({x: at[n][0], y: at[n][1], tip: () => `<b>${safe(l.name)}</b> · ${clock(t)}<br>${v < 0 ? "no evidence of change" : `evidence: ${factor(Math.exp(v))}`}`});
    });
  });
  const key = lines.map((l, i) => `<span><span class="dot" style="background:var(--p${i % 8})"></span>${safe(l.name)}</span>`);
  $("change").innerHTML = svg(w, h, parts.join(""), "evidence of change over time") + `<div class="key">${key.join("")}</div>`;
  listed("change-marks", marks.map(m => entry(m.t, m.text, HAPPENED[m.kind] || m.kind, BAD.includes(m.kind), "")),
    '<li class="note">Notable for a while, and never enough for an alarm.</li>');
  nearest($("change"), points);
  zoomable($("change"), at => view.from + (at - left) / (w - left - right) * (view.to - view.from));
  tabled("change", ["time", "of what", "nats"], () => lines.flatMap(l => l.points.map(([t, v]) => [iso(t), l.name, v])));
}

const factor = times => times < 1e6 ? `${Math.round(times).toLocaleString("en")} ×` : `10^${Math.round(Math.log10(times))} ×`;
const ofMark = mark => BAD.includes(mark.kind) ? "var(--bad)" : "var(--accent)";

/* ---- profiles, and who was taken for whom ---- */

const once = p => `${safe(p.person)}: ${plural(p.revisions, "revision")}, ${p.with_vectors} with vectors${p.gone ? ", then forgotten" : ""}.`;

function drift(home) {
  const w = Math.max(280, $("drift").clientWidth), row = 78, tall = row - 26, narrow = w < 520, left = narrow ? 76 : 96, gap = narrow ? 44 : 60, right = 34;
  const split = left + .6 * (w - left - gap - right), x = t => left + share(t) * (split - left), x2 = t => split + gap + share(t) * (w - right - split - gap);
  const those = home.profiles.filter(p => p.points.length > 1), all = those.flatMap(p => p.points), points = [], parts = [];
  $("drift-card").className = `card ${home.confusion.length ? "wide" : "full"}`;
  tabled("drift", ["time", "person", "encoder", "from the first", "from the one before", "drift", "trust", "events"], () => home.profiles.flatMap(p =>
    p.points.flatMap(q => Object.keys(q.away).map(e => [iso(q.t), p.person, e, q.away[e], q.moved[e], q.drift, q.trust, q.events]))));
  if (!those.length) {
    $("drift").innerHTML = `<p class="note">${home.profiles.length ? `Vectors were published once at most, so there is nothing to compare them with. ${home.profiles.map(once).join(" ")}` : "No profile was published."}</p>`;
    return;
  }
  const encoders = [...new Set(all.flatMap(q => Object.keys(q.away)))].sort(), most = Math.max(.01, ...all.map(q => q.drift));
  const tops = Object.fromEntries(encoders.map(e => [e, Math.max(.001, ...all.map(q => q.away[e] || 0))]));

  those.forEach((profile, i) => {
    const base = (i + 1) * row - 10, fill = colourOf(home, profile.person), name = `<b>${safe(profile.person)}</b>`;
    const health = q => `health: drift ${q.drift.toFixed(2)}, trust ${q.trust.toFixed(2)}, ${Math.round(q.events)} events`;
    parts.push(text(0, base - 18, safe(profile.person), {class: "ink"}), text(0, base - 3, plural(profile.revisions, "revision")));
    parts.push(line(left, base, split, base, "var(--line)"), line(split + gap, base, w - right, base, "var(--line)"));
    encoders.forEach((encoder, k) => {
      const known = profile.points.filter(q => encoder in q.away && shown(q.t)), y = v => base - v / tops[encoder] * tall;
      if (!known.length) return;
      for (const q of known) {
        const at = x(q.t) + 3 * k, moves = `${q.away[encoder].toFixed(4)} from the first, ${q.moved[encoder].toFixed(4)} from the one before`;
        parts.push(line(at, base, at, y(q.moved[encoder]), fill, {opacity: .35, "stroke-width": 2}));
        points.push({x: x(q.t), y: y(q.away[encoder]), tip: () => `${name} · ${clock(q.t)}<br>${safe(encoder)}: ${moves}<br>${health(q)}`});
      }
      parts.push(path(trail(known.map(q => [x(q.t), y(q.away[encoder])])), fill, {"stroke-dasharray": DASHES[k % 3]}));
      parts.push(text(split + 5, base - 2 - 13 * k, known.at(-1).away[encoder].toFixed(3)));
    });
    const seen = profile.points.filter(q => shown(q.t)), own = seen.map(q => [x2(q.t), base - q.drift / most * tall]);
    if (own.length) parts.push(path(trail(own), fill), text(w - right + 5, own.at(-1)[1] + 4, seen.at(-1).drift.toFixed(2)));
    seen.forEach((q, n) => {
      parts.push(circle(...own[n], 2.2, {fill}));
      points.push({x: own[n][0], y: own[n][1], tip: () => `${name} · ${clock(q.t)}<br>${health(q)}`});
    });
    if (profile.gone !== null && shown(profile.gone)) {
      parts.push(line(x(profile.gone), base - tall, x(profile.gone), base, "var(--bad)"));
      parts.push(text(x(profile.gone) - 5, base - tall + 10, "tombstone", {"text-anchor": "end", style: "fill:var(--bad)"}));
    }
  });

  const floor = those.length * row - 4;
  for (const scale of narrow ? [x] : [x, x2]) {
    parts.push(text(scale(view.from), floor + 14, date(view.from)), text(scale(view.to), floor + 14, date(view.to - 1), {"text-anchor": "end"}));
  }
  parts.push(text(left, 8, narrow || w < 700 ? "distance" : "distance from the first (bars: from the one before)"));
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
  if (home.confusion.length) tabled("confusion", ["who it was", ...home.people], () => home.confusion.map((counts, i) => [home.people[i], ...counts]));
}
