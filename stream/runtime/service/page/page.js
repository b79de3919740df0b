"use strict";
const EVERY_MS = 2000, SHOWN = 8;
const TIERS = ["not known", "one of you", "likely", "sure", "very sure", "proven with a PIN"];
const SENSED = { voice: "a voice", face: "a face", phone: "a phone", habit: "what is usual here" };
const at = id => document.getElementById(id);
let shown = "", state = null, taken = null; // what is drawn; the last of it; the latest word, which can be taken back
const choosing = new Set(); // events whose people are offered
let all = false; // whether those before the latest are shown

function made(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  if (name) element.className = name;
  return element;
}

function button(text, key, act, name) {
  const element = made("button", text, name);
  element.type = "button";
  element.dataset.key = key; // where the focus stays when all is drawn anew
  element.onclick = act;
  return element;
}

function time(ms) {
  const day = new Date(ms), today = new Date().toDateString() === day.toDateString();
  return day.toLocaleString([], today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

// Names are shown as the home has them.
const person = name => (name === "guest" ? "a guest" : name);
const percent = share => (share > 0.995 && share < 1 ? "over 99%" : Math.round(100 * share) + "%");
const listed = words => (words.length < 2 ? words.join("") : words.slice(0, -1).join(", ") + " and " + words.at(-1));

function say(text, bad = false) {
  at("said").textContent = text;
  at("said").classList.toggle("bad", bad);
}

async function ask(path, method = "GET", body = undefined) {
  const headers = method === "GET" ? {} : { "X-Kithkin-Page": "1" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const told = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(told.detail), { status: answer.status });
  return told;
}

// What people do; `done`: what is said then.
async function act(done, path, method, body) {
  try {
    const told = await ask(path, method, body);
    say(done);
    look();
    return told ?? {};
  } catch (error) {
    say(`That did not work: ${error.message}.`, true);
    if (error.status === 401) signedOut();
    return null;
  }
}

async function tell(event, person_id, isNew = false) {
  choosing.delete(event.event_id);
  const done = `It was ${person(person_id)}: your home is looking at it again.`;
  const told = await act(done, "feedback", "POST", { event_id: event.event_id, person_id, new: isNew });
  if (told) taken = { event_id: event.event_id, feedback_id: told.feedback_id };
  shown = "";
}

async function takeBack() {
  const told = await act("Taken back.", "retract", "POST", { feedback_id: taken.feedback_id });
  if (told) taken = null;
  shown = "";
}

// One answer

function bars(shares) {
  const box = made("div", undefined, "bars");
  for (const [name, share] of Object.entries(shares).sort((a, b) => b[1] - a[1]).slice(0, 5)) {
    const bar = made("div", undefined, name === "guest" ? "bar guest" : "bar"), part = made("i");
    part.style.width = 100 * share + "%";
    bar.append(part);
    box.append(made("span", person(name)), bar, made("span", percent(share)));
  }
  return box;
}

function why(event) {
  const sensed = event.modalities.map(name => SENSED[name] ?? name).filter(word => word !== "a phone");
  for (const phone of event.phones) sensed.push(phone.person_id ? `the phone of ${phone.person_id}` : `the phone ${phone.phone_id}`);
  if (event.unknown_phone) sensed.push("a phone that nobody registered");
  return sensed.length ? `By ${listed(sensed)}.` : "By nothing but who usually is there.";
}

function said(claim) {
  const who = claim.source === "app" ? "You said" : { voice: "Somebody said aloud", pin: "With a PIN it was said", annotator: "An annotator said" }[claim.source];
  const what = { confirm: "that this was right", reject: `that it was not ${claim.person_id}`, correct: `it was ${person(claim.person_id)}`,
    enrol: `it was ${claim.person_id}, who was being enrolled` }[claim.kind] ?? claim.kind;
  const doubt = claim.right !== null && claim.right < 0.5 ? " What was heard and seen speaks against it, so little is made of it." : "";
  return `${who} ${what}.${doubt}`;
}

function chooser(event) {
  const box = made("div", undefined, "buttons"), id = event.event_id;
  for (const one of state.people) box.append(button(one.person_id, `${id}/${one.person_id}`, () => tell(event, one.person_id)));
  box.append(button("a guest", `${id}/guest`, () => tell(event, "guest")));
  const form = made("form", undefined, "new"), input = made("input");
  input.placeholder = "someone new";
  input.setAttribute("aria-label", "The name of someone new");
  input.pattern = "[A-Za-z0-9._:\\-]{1,64}";
  input.title = "Letters, digits, and . _ : -";
  input.required = true;
  input.dataset.key = `${id}/new`;
  form.append(input, made("button", "Add them"));
  form.onsubmit = submitted => { submitted.preventDefault(); tell(event, input.value, true); };
  box.append(form);
  return box;
}

function answered(event) {
  const box = made("article"), id = event.event_id, head = made("div", undefined, "head"), buttons = made("div", undefined, "buttons");
  box.dataset.event = id;
  head.append(made("h3", event.named ?? (event.tier ? "Somebody of the home" : "Nobody was named")));
  head.append(made("small", `${time(event.at)} · ${event.device_id}${event.activity ? " · " + event.activity : ""}`));
  box.append(head, made("span", `${TIERS[event.tier]} (tier ${event.tier})`, "tier"));
  box.append(made("p", why(event), "note"), made("p", "By all that is known now it was:", "note"), bars(event.shares));
  if (event.revision) box.append(made("p", `Answered again ${event.revision === 1 ? "once" : event.revision + " times"} since.`, "note revised"));
  for (const claim of event.claims) box.append(made("p", said(claim), "note claim"));
  if (taken && taken.event_id === id) buttons.append(button("Take that back", `${id}/back`, takeBack));
  if (event.named && !choosing.has(id)) buttons.append(button(`That was ${event.named}`, `${id}/right`, () => tell(event, event.named)));
  const open = () => { choosing.has(id) ? choosing.delete(id) : choosing.add(id); shown = ""; draw(); };
  const asked = button(choosing.has(id) ? "Never mind" : event.named ? "It was somebody else" : "Who is this?", `${id}/who`, open);
  asked.setAttribute("aria-expanded", String(choosing.has(id)));
  buttons.append(asked);
  box.append(buttons);
  if (choosing.has(id)) box.append(chooser(event));
  return box;
}

// What stands beside

function present(one) {
  const box = made("div", undefined, "entry");
  box.append(made("b", one.person_id), made("span", ` ${percent(one.home)}${one.room ? ", last at " + one.room : ""}`));
  return box;
}

function pending(one) {
  const box = made("div", undefined, "entry"), buttons = made("div", undefined, "buttons");
  box.append(made("div", `${one.client_id} wants the PIN of ${one.person_id}`));
  box.append(made("small", `asked at ${one.device_id}, until ${time(one.until)}`));
  const refuse = () => act("It was refused.", `challenges/${encodeURIComponent(one.challenge_id)}`, "DELETE");
  buttons.append(button("Refuse", `refuse/${one.challenge_id}`, refuse));
  box.append(buttons);
  return box;
}

function locked(one) {
  const box = made("div", undefined, "entry"), buttons = made("div", undefined, "buttons");
  box.append(made("div", `The PIN of ${one.person_id} was wrong three times at ${listed(one.locked_at)}`));
  const unlock = () => act(`${one.person_id} may try again.`, `unlock/${encodeURIComponent(one.person_id)}`, "POST");
  buttons.append(button("Let them try again", `unlock/${one.person_id}`, unlock));
  box.append(buttons);
  return box;
}

function consented(one) {
  const box = made("div", undefined, "entry"), buttons = made("div", undefined, "buttons");
  box.append(made("div", `${one.client_id} may ask about ${one.person_id}`), made("small", one.actions.join(", ")), made("br"));
  box.append(made("small", `since ${time(one.given_at)}, ${one.expires_at ? "until " + time(one.expires_at) : "until it is taken back"}`));
  const revoke = () => act("It is being taken back.", `/v1/consents/${encodeURIComponent(one.consent_id)}`, "DELETE");
  buttons.append(button("Take it back", `revoke/${one.consent_id}`, revoke));
  box.append(buttons);
  return box;
}

function forbidden(one) {
  const box = made("div", undefined, "entry"), buttons = made("div", undefined, "buttons");
  const what = [...one.actions, ...(one.tier ? [`all that asks for tier ${one.tier} or more`] : [])];
  box.append(made("div", `${one.person_id} may not: ${listed(what)}`), made("small", `since ${time(one.given_at)}`));
  const lift = () => act("It is being lifted.", `/v1/consents/${encodeURIComponent(one.consent_id)}`, "DELETE");
  buttons.append(button("Lift it", `lift/${one.consent_id}`, lift));
  box.append(buttons);
  return box;
}

function fill(select, options) {
  const chosen = select.value, wanted = options.map(([value, text]) => { const one = made("option", text); one.value = value; return one; });
  if ([...select.options].map(one => one.value).join("\n") === options.map(one => one[0]).join("\n")) return;
  select.replaceChildren(...wanted);
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

function fillForms() {
  const people = state.people.map(one => [one.person_id, one.person_id]);
  fill(at("grant-client"), state.clients.map(name => [name, name]));
  fill(at("grant-person"), people);
  fill(at("kept-of"), [["", "everybody: the whole home"], ...people]);
  const names = Object.keys(state.actions), tiers = [...new Set(Object.values(state.actions))].sort();
  fill(at("forbid-person"), people);
  fill(at("forbid-what"), [...tiers.map(tier => ["tier " + tier, `all that asks for tier ${tier} or more`]), ...names.map(name => [name, name])]);
  at("forbid").hidden = !names.length || !people.length;
  at("grant").hidden = !state.clients.length || !names.length || !people.length;
  if (at("grant-actions").dataset.names === names.join()) return;
  at("grant-actions").dataset.names = names.join();
  at("grant-actions").replaceChildren(...names.map(name => {
    const label = made("label", undefined, "check"), box = made("input");
    box.type = "checkbox";
    box.value = name;
    label.append(box, made("span", name));
    return label;
  }));
}

function list(id, boxes, nothing) {
  at(id).replaceChildren(...(boxes.length ? boxes : [made("p", nothing, "note")]));
}

function draw() {
  const now = JSON.stringify(state), focus = document.activeElement;
  if (now === shown) return;
  if (focus.dataset.key?.endsWith("/new") && focus.value && shown) return; // a name is being typed
  shown = now;
  const key = focus.dataset.key;
  at("home").textContent = state.household_id;
  at("as-of").textContent = state.as_of ? `as of ${time(state.as_of)}` : "nothing was heard of this home yet";
  const latest = all ? state.events : state.events.slice(0, SHOWN);
  list("events", latest.map(answered), "Nothing yet: what devices recognise comes here.");
  if (latest.length < state.events.length) {
    const more = made("div", undefined, "buttons");
    more.append(button(`Show ${state.events.length - latest.length} more`, "more", () => { all = true; shown = ""; draw(); }));
    at("events").append(more);
  }
  at("present").hidden = state.who_is_home === null;
  list("who", (state.who_is_home ?? []).map(present), "Nobody is known to be home.");
  const shut = state.people.filter(one => one.locked_at.length);
  list("challenges", [...state.challenges.map(pending), ...shut.map(locked)], "Nothing waits.");
  list("forbids", state.forbids.map(forbidden), "Nothing is forbidden to anybody.");
  list("consents", state.consents.map(consented), "Nobody: no application may ask.");
  fillForms();
  if (key) document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
}

async function look() {
  try {
    state = await ask("state");
    for (const id of ["main", "leave"]) at(id).hidden = false;
    at("enter").hidden = true;
    draw();
  } catch (error) {
    if (error.status === 401) return signedOut();
    say(error.status ? error.message : "Your home cannot be reached just now; this page tries again.", true);
  }
}

function signedOut() {
  state = null;
  shown = "";
  for (const id of ["main", "leave"]) at(id).hidden = true;
  at("home").textContent = "Your home";
  at("as-of").textContent = "";
  at("enter").hidden = false;
}

async function enter(text) {
  const token = text.slice(text.indexOf("#") + 1).trim();
  history.replaceState(null, "", location.pathname);
  say("");
  await act("", "session", "POST", { token });
}

// Forms

at("enter-form").onsubmit = submitted => { submitted.preventDefault(); enter(at("link").value); at("link").value = ""; };
at("leave").onclick = async () => { if (await act("You are signed out.", "session", "DELETE")) signedOut(); };

const freshId = kind => kind + "-" + Array.from(crypto.getRandomValues(new Uint8Array(12)), byte => byte.toString(16).padStart(2, "0")).join("");

at("forbid-form").onsubmit = submitted => {
  submitted.preventDefault();
  const person_id = at("forbid-person").value, what = at("forbid-what").value, tier = what.match(/^tier ([1-5])$/)?.[1];
  act("It is forbidden, once your home has it.", `forbids/${freshId("f")}`, "PUT", tier ? { person_id, tier: Number(tier) } : { person_id, actions: [what] });
};

at("grant-form").onsubmit = async submitted => {
  submitted.preventDefault();
  const actions = [...at("grant-actions").querySelectorAll("input:checked")].map(box => box.value), client_id = at("grant-client").value;
  if (!actions.length) return say("Choose what it may do.", true);
  const wanted = { person_id: at("grant-person").value, client_id, actions, days: Number(at("grant-days").value) || null };
  const told = await act(`${client_id} may ask, once your home has it.`, `/v1/consents/${freshId("c")}`, "PUT", wanted);
  if (told) at("granted").textContent = `It calls your home ${told.home}`;
};

at("kept-form").onsubmit = submitted => submitted.preventDefault();
at("export").onclick = () => {
  const of = at("kept-of").value, link = made("a");
  link.href = "export" + (of ? "?person_id=" + encodeURIComponent(of) : "");
  link.download = "";
  link.click();
};

at("erase").onclick = () => {
  const of = at("kept-of").value, name = of || state.household_id;
  at("erasing-what").textContent = of
    ? `Voice, face, phones, habits, PIN and consents of ${of}, and what was answered of them, are forgotten for ever.`
    : "Everybody of this home, and all that was answered, is forgotten for ever. You are signed out.";
  at("to-type").textContent = name;
  at("typed").value = "";
  at("erase-go").disabled = true;
  at("erasing").showModal();
  at("typed").focus();
};
at("typed").oninput = () => { at("erase-go").disabled = at("typed").value !== at("to-type").textContent; };
at("erase-stay").onclick = () => at("erasing").close();
at("erase-form").onsubmit = async submitted => {
  submitted.preventDefault();
  if (at("erase-go").disabled) return;
  at("erasing").close();
  const of = at("kept-of").value || null;
  await act(`${of ?? "All of it"} is being forgotten.`, "erase", "POST", { person_id: of, typed: at("typed").value });
};

if (location.hash.length > 1) enter(location.hash); else look();
addEventListener("hashchange", () => { if (location.hash.length > 1) enter(location.hash); });
setInterval(() => { if (state && !document.hidden) look(); }, EVERY_MS);
