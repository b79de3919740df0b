/* All homes: alerts, the worst, cards, how far its numbers can be believed, what it was made of. */

/* ---- the homes ---- */

function houseIcon(home) {
  const lit = home.people.slice(0, -1).slice(0, 4).map((_, i) =>
    `<rect x="${6.5 + 6.5 * (i % 2)}" y="${12 + 6 * (i >> 1)}" width="4.5" height="4" rx=".8" fill="${colour(home, i)}"/>`);
  const walls = '<path d="M2 11.2 12 2.6 22 11.2V22.4H2Z" fill="var(--faint)" stroke="var(--soft)" stroke-width="1.1" stroke-linejoin="round"/>';
  return svg(24, 24, walls + lit.join(""), "");
}

function sparkline(home) {
  const w = 230, h = 34, right = new Map(), total = new Map();
  for (const [t, lane, best, p] of home.events) {
    const day = Math.floor((t - run.begin) / DAY);
    right.set(day, (right.get(day) || 0) + (truth ? lane === best : p / PARTS));
    total.set(day, (total.get(day) || 0) + 1);
  }
  const days = (run.end - run.begin) / DAY, known = [...total.keys()].sort((a, b) => a - b), sum = (counts, near) => near.reduce((s, day) => s + counts.get(day), 0);
  const points = known.map((day, i) => {
    const near = known.slice(Math.max(0, i - 2), i + 3);
    return [day / Math.max(1, days - 1) * w, h - 2 - (h - 4) * Math.max(0, sum(right, near) / sum(total, near) - .5) / .5];
  });
  if (!points.length) return "";
  const d = trail(points);
  return svg(w, h, area(`${d}L${points.at(-1)[0]} ${h}L${points[0][0]} ${h}`, "var(--accent)") + path(d, "var(--accent)", {"stroke-width": 1.6}),
    truth ? "right answers by day" : "how sure it was by day", {preserveAspectRatio: "none", style: "width:100%"});
}

const SORTS = {
  worst: ["worst first", home => run.rank[home.id] ?? Infinity],
  doubt: ["most doubted", home => -home.doubt],
  alerted: ["alerted first", home => -home.alerts],
  busy: ["most answers", home => -home.events.length],
  name: ["by name", home => home.id],
};

function street() {
  $("homes-note").textContent = (truth ? "Each line is one home day by day: how many answers put the right person first."
    : "Each line is one home day by day: how sure its answers were.")
    + (run.tally.homes > run.homes.length ? ` Of ${run.tally.homes.toLocaleString("en")} homes these ${run.homes.length} are on the page: the worst, the alerted and the busiest; others by --household.` : "");
  $("sort").innerHTML = Object.entries(SORTS).map(([key, [name]]) => `<option value="${key}">${name}</option>`).join("");
  $("sort").value = run.worst.length ? "worst" : run.alerts.length ? "alerted" : "name";
  $("sort").onchange = $("find").oninput = cards;
  $("choice").innerHTML = run.homes.map((home, i) => `<option value="${i}">${safe(home.id)}</option>`).join("");
  $("choice").onchange = event => pick(+event.target.value);
  $("street").onclick = event => {
    const house = event.target.closest(".house");
    if (house) pick(+house.dataset.home);
  };
  cards();
}

function cards() {
  const wanted = $("find").value.trim().toLowerCase(), key = SORTS[$("sort").value][1];
  const has = home => [home.id, home.story, ...home.people].some(word => word.toLowerCase().includes(wanted));
  const some = run.homes.map((home, i) => [home, i]).filter(([home]) => has(home)).sort(([a], [b]) => {
    const [x, y] = [key(a), key(b)];
    return x < y ? -1 : x > y ? 1 : a.id < b.id ? -1 : 1;
  });
  $("found").textContent = wanted ? plural(some.length, "home") : "";
  $("street").innerHTML = some.map(([home, i]) => `<button class="house" data-home="${i}" aria-pressed="${i === chosen}">
    <header>${houseIcon(home)}<b>${safe(home.id)}</b><i>${home.right === null ? "" : percent(home.right)}</i></header>
    <p>${home.alerts ? '<span class="tag bad">alert</span> ' : ""}${safe(short(home.story))}</p>${sparkline(home)}
    <small class="note">${plural(home.events.length, "answer")}${truth || !home.judged ? "" : `, ${home.judged} spoken of`}; ${percent(1 - home.doubt)} sure</small></button>`).join("");
}
const short = story => story.length > 110 ? story.slice(0, story.lastIndexOf(" ", 108)) + " …" : story;

function worst() {
  $("worst-part").hidden = !run.worst.length;
  $("worst-note").textContent = (truth ? "By how many of its answers put the right person first" : "By how many answers people agreed with, of those that they spoke of")
    + "; a home of few such answers is given the benefit of the doubt.";
  const at = id => run.homes.findIndex(home => home.id === id);
  $("worst").innerHTML = run.worst.map(id => run.homes[at(id)]).map(home => `<li><button class="link" data-home="${at(home.id)}">${safe(home.id)}</button>
    <span>${Math.round(home.right * home.judged)} of ${home.judged}</span><p>${home.alerts ? '<span class="tag bad">alert</span> ' : ""}${safe(home.story) || "Nothing else is remarkable."}</p></li>`).join("");
  tabled("worst", ["home", "right", "judged", "doubt", "alerts", "story"], () => run.worst.map(id => run.homes[at(id)]).map(h => [h.id, Math.round(h.right * h.judged), h.judged, h.doubt, h.alerts, h.story]));
}

function alerts() {
  $("alerts").innerHTML = run.alerts.slice(0, 10).map(a => {
    const homes = a.homes.filter(id => run.homes.some(home => home.id === id));
    const links = homes.slice(0, 5).map(id => `<button class="link" data-home="${run.homes.findIndex(home => home.id === id)}">${safe(id)}</button>`).join(", ");
    const more = a.homes.length > Math.min(5, homes.length) ? ` of ${plural(a.homes.length, "home")}` : "";
    return `<div class="alert${a.state === "opened" || a.state === "updated" ? "" : " over"}"><b>Alert:</b> ${safe(a.text)} ${safe(a.action)}
      <small>opened ${clock(a.t)}${a.state === "opened" ? "" : `, ${a.state} ${clock(a.until)}`}${links ? " · " + links + more : ""}</small></div>`;
  }).join("");
  if (run.alerts.length) tabled("alerts", ["opened", "state", "since", "what", "what to do", "homes"], () => run.alerts.map(a => [iso(a.t), a.state, iso(a.until), a.text, a.action, a.homes.join(" ")]));
  for (const id of ["alerts", "worst"]) $(id).onclick = event => {
    const link = event.target.closest(".link");
    if (link) pick(+link.dataset.home);
  };
}

/* ---- can its numbers be believed ---- */

function calibration() {
  $("calibration-card").hidden = !run.calibration.length;
  if (!run.calibration.length) return;
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
  tabled("calibration", ["said", "true", "probabilities", "from (95 %)", "to"], () => run.calibration.map(b => [b.said, b.true, b.n, b.low, b.high]));
}

function bar(label, part, bad, words, note, ends = null) {
  const at = p => Math.min(100, 100 * p), whisker = ends ? `<u style="left:${at(ends[0])}%;width:${Math.max(.6, at(ends[1]) - at(ends[0]))}%"></u>` : "";
  return `<div><small>${label}</small><div class="bar"><i class="${bad ? "bad" : ""}" style="width:${at(part)}%"></i>${whisker}</div>
    ${words} <small>${note}</small></div>`;
}

function tiers() {
  const between = ends => ends ? `; 95 %: ${percent(ends[0], 2)} to ${percent(ends[1], 2)}` : "";
  const error = (label, n, of, budget, ends) => {
    const errors = of ? n / of : 0, allowed = +(100 * budget).toPrecision(2);
    return bar(label, errors / budget, errors > budget, percent(errors, 2), `of ${allowed} % allowed (${n} of ${of.toLocaleString("en")}${between(ends)})`,
      ends && ends.map(end => end / budget));
  };
  const last = {tier: 5, name: "protected", use: "“refill my prescription”"};
  $("tiers").innerHTML = [...run.tiers, last].map(t => {
    const reached = run.tally.reached[t.tier - 1], head = `<div><b>${t.tier} · ${t.name}</b><small>${t.use}</small></div>`;
    const all = bar("reached", reached, false, percent(reached, 1), `of all ${run.tally.answers.toLocaleString("en")} answers`);
    if (!run.by || !t.budget) return `<div class="tier">${head}${all}</div>`;
    const covered = t.members ? t.covered / t.members : 0;
    const right = truth ? bar("reached", covered, false, percent(covered, 1), "of member answers, rightly", t.spans.covered) : all;
    return `<div class="tier">${head}${right}${error("guests taken for a member", t.fooled, t.guests, t.budget, t.spans.guests)}
      ${error("members taken for another", t.wrong, t.members, t.budget, t.spans.members)}</div>`;
  }).join("");
  tabled("tiers", ["level", "name", "reached, of all answers", "budget", "members", "rightly reached", "members taken for another", "guests", "guests taken for a member"],
    () => [...run.tiers, last].map(t => [t.tier, t.name, run.tally.reached[t.tier - 1], t.budget, t.members, t.covered, t.wrong, t.guests, t.fooled]));
}

function modalities() {
  const most = Math.max(1, ...run.tally.modalities.map(m => m.n));
  $("modalities").innerHTML = run.tally.modalities.map(m => `<div class="tier"><div><b>${safe(m.name)}</b></div>
    ${bar("", m.n / most, false, percent(m.n / Math.max(1, run.tally.answers), 1), plural(m.n, "event"))}
    ${bar("", m.sure, false, percent(m.sure, 1), "sure on average")}${bar("", m.named, false, percent(m.named, 1), "named somebody")}</div>`).join("");
  tabled("modalities", ["modalities", "events", "sure on average", "named somebody"], () => run.tally.modalities.map(m => [m.name, m.n, m.sure, m.named]));
}

function revisions() {
  const kinds = ["another person first", "a higher level", "a lower level"];
  $("revisions").innerHTML = run.tally.revisions.map(r => `<div class="tier"><div><b>${safe(r.cause)}</b><small>${plural(r.n, "revision")}</small></div>
    ${kinds.map(kind => bar(kind, r[kind] / r.n, false, percent(r[kind] / r.n, 1), plural(r[kind], "answer"))).join("")}</div>`).join("")
    || '<p class="note">No answer was revised.</p>';
  tabled("revisions", ["by", "revisions", ...kinds], () => run.tally.revisions.map(r => [r.cause, r.n, ...kinds.map(kind => r[kind])]));
}

function byDay() {
  $("days-card").hidden = !run.days.length;
  $("days-name").textContent = truth ? "Right person first, by day" : "Agreed with, by day, of the answers that people spoke of";
  const noon = d => run.begin + (d.day + .5) * DAY, those = run.days.filter(d => shown(noon(d)));
  if (!those.length) return $("days").innerHTML = '<p class="note">Nothing in the time that is shown.</p>';
  const w = Math.max(260, $("days").clientWidth), h = 150, left = 44, x = t => left + Math.max(0, Math.min(1, share(t))) * (w - left - 8);
  const least = Math.max(0, Math.floor(10 * Math.min(...those.map(d => d.right)) - .5) / 10);
  const y = p => 10 + (1 - p) / (1 - least) * (h - 34);
  const points = those.map(d => ({x: x(noon(d)), y: y(d.right),
    tip: () => `<b>${date(noon(d))}</b><br>${percent(d.right, 1)} of ${plural(d.n, "answer")}`}));
  const d = trail(points.map(p => [p.x, p.y])), parts = [calendar(x, 10, h - 24, left, w - 8)];
  for (const p of [least, (1 + least) / 2, 1]) {
    parts.push(line(left, y(p), w - 8, y(p), "var(--faint)"), text(left - 6, y(p) + 4, percent(p), {"text-anchor": "end"}));
  }
  parts.push(area(`${d}L${points.at(-1).x} ${y(least)}L${points[0].x} ${y(least)}`, "var(--accent)"), path(d, "var(--accent)"));
  parts.push(...points.map(p => circle(p.x, p.y, 2.6, {fill: "var(--accent)"})));
  $("days").innerHTML = svg(w, h + 4, parts.join(""), "right answers by day");
  nearest($("days"), points);
  zoomable($("days"), at => view.from + (at - left) / (w - left - 8) * (view.to - view.from));
  tabled("days", ["day", "right", "answers"], () => run.days.map(d => [midnight(noon(d)), d.right, d.n]));
}

function made() {
  $("made-part").hidden = !run.made.length;
  $("made").innerHTML = run.made.map(([name, rows]) => `<div class="card third"><h3>${safe(name)}</h3>
    <dl class="made">${rows.map(([key, value]) => `<dt>${safe(key)}</dt><dd>${safe(value)}</dd>`).join("")}</dl></div>`).join("");
  if (run.made.length) tabled("made", ["part", "name", "value"], () => run.made.flatMap(([name, rows]) => rows.map(row => [name, ...row])));
}

/* ---- the page ---- */

function draw() {
  if (run.homes.length) choose(chosen);
  for (const chart of [calibration, tiers, modalities, revisions, byDay]) chart();
}

$("headline").textContent = run.headline;
$("lead").textContent = run.lead;
$("tiles").innerHTML = run.tiles.map(t => `<div><b>${safe(t.value)}</b><span>${safe(t.name)}</span><small>${safe(t.note)}</small></div>`).join("");
$("quality-part").hidden = !run.tally.answers;
$("quality-note").textContent = {
  truth: "First answers of all homes against the truth, without guided enrolment. Intervals are over homes.",
  feedback: "Answers that people spoke of, as they stood before, against what was said of them. People speak rather of wrong answers, and are not always right. Intervals are over homes.",
}[run.by] || "Nobody said who it was, so answers are not called right or wrong.";
$("street-part").hidden = $("home-part").hidden = !run.homes.length;
$("footer").textContent = "Made by kithkin from the records that went in and came out. "
  + (truth ? "The truth is used to call answers right or wrong; the software that answered never saw it. " : "") + "Times are UTC.";
document.title = "kithkin: " + run.headline;
street();
worst();
alerts();
made();
draw();

let waiting = 0, width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;  // a phone's bar that comes and goes
  width = innerWidth;
  cancelAnimationFrame(waiting);
  waiting = requestAnimationFrame(draw);
});
addEventListener("scroll", hideTip, {passive: true});
