// What pages gain where scripts run: they stay current, show the reader's own time, and know keys.
// Without it every page can be read and every verb used.

const $ = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function stored(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name);
    localStorage.setItem(name, value);
  } catch { /* storage is off */ }
  return value ?? null;
}

// --- times -------------------------------------------------------------------------------------------------

const local = new Intl.DateTimeFormat(undefined, { dateStyle: "short", timeStyle: "medium" });
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function showTimes(within = document) {
  const mine = stored("clock") === "local";
  for (const time of all("time[datetime]", within)) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.dataset.utc ??= time.textContent;
    const here = `${local.format(at)}`;
    time.textContent = mine ? here : time.dataset.utc;
    time.title = mine ? `${time.dataset.utc} (UTC)` : `${here} (${zone})`;
  }
  const button = $("[data-clock]");
  if (button) button.textContent = mine ? "Your time" : "UTC";
}

function switchClock() {
  stored("clock", stored("clock") === "local" ? "utc" : "local");
  showTimes();
}

// --- light and dark ----------------------------------------------------------------------------------------

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  stored("theme", root.dataset.theme);
}

// --- live --------------------------------------------------------------------------------------------------

const SOONEST_MS = 700;
const BUSY_MS = 5000;
let known = null;
let lastAt = 0;
let timer = 0;
let wait = SOONEST_MS;
let asking = false;

const liveParts = () => all("[data-live]").filter((part) => part.id);

function isInUse(part) {
  // What somebody is filling in, has unfolded or marked is left alone until they are done.
  if (part.contains(document.activeElement) && document.activeElement.matches("input,select,textarea")) return true;
  if ($("details.verb[open], details[data-keep][open]", part)) return true;
  const marked = getSelection();
  return marked && !marked.isCollapsed && part.contains(marked.anchorNode);
}

function isWrittenIn() {
  return all("main form[method=post] input:not([type=hidden]), main form[method=post] textarea")
    .some((field) => field.value !== field.defaultValue);
}

function heard(topics) {
  const before = known;
  known = topics;
  if (before === null) return;
  const wanted = new Set(liveParts().flatMap((part) => part.dataset.live.split(/\s+/)));
  if ([...wanted].some((topic) => topics[topic] !== before[topic])) renewSoon();
}

function renewSoon() {
  if (timer) return;
  const since = Date.now() - lastAt;
  // One change is shown at once; a stream of them now and then.
  wait = since < 2 * wait ? Math.min(BUSY_MS, wait * 2) : SOONEST_MS;
  timer = setTimeout(renew, Math.max(0, wait - since));
}

async function renew() {
  timer = 0;
  if (document.hidden || asking) return;
  asking = true;
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "1" }, credentials: "same-origin" });
    if (answer.status === 401) {
      // To load the page again leads to the door: not over what somebody is writing.
      if (isWrittenIn()) say("signed out", true);
      else location.reload();
      return;
    }
    if (!answer.ok) { say("not current", true); return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of liveParts()) {
      const now = fresh.getElementById(part.id);
      if (!now || isInUse(part) || part.isEqualNode(now)) continue;
      const opened = new Set(all("details[open][id]", part).map((one) => one.id));
      part.replaceChildren(...now.childNodes);
      for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
      prepare(part);
    }
    say("live");
  } catch {
    say("not current", true);
  } finally {
    asking = false;
    lastAt = Date.now();
  }
}

function say(text, bad = false) {
  const state = $("[data-live-state]");
  if (!state) return;
  state.hidden = false;
  state.classList.toggle("bad", bad);
  if (state.textContent !== text) state.textContent = text;
}

function listen() {
  if (!liveParts().length || !window.EventSource) return;
  const source = new EventSource("/live");
  source.onmessage = (message) => { say("live"); heard(JSON.parse(message.data)); };
  source.onerror = () => {
    say("not current", true);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
  };
  addEventListener("pagehide", () => source.close());
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && known) renewSoon(); });

// --- copying, searching in a text --------------------------------------------------------------------------

async function copy(button) {
  const from = button.dataset.copyFrom;
  const text = from ? $(from)?.textContent ?? "" : button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1200);
  } catch { /* the browser does not allow it: the text can be marked */ }
}

function searchIn(input) {
  const wanted = input.value.trim().toLowerCase();
  for (const line of all("[data-line]", $(input.dataset.searchIn))) {
    line.classList.toggle("found", wanted !== "" && line.textContent.toLowerCase().includes(wanted));
    line.classList.toggle("dimmed", wanted !== "" && !line.classList.contains("found"));
  }
  $(`${input.dataset.searchIn} .found`)?.scrollIntoView({ block: "center" });
}

// --- keys --------------------------------------------------------------------------------------------------

let going = 0;

function mark(step) {
  const rows = all("[data-rows] tbody tr");
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("marked"));
  const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
  for (const row of rows) row.classList.toggle("marked", row === next);
  next.scrollIntoView({ block: "nearest" });
  $("a[data-open]", next)?.focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input,select,textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (going && Date.now() - going < 1500) {
    going = 0;
    const link = $(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); location.href = link.href; }
    return;
  }
  switch (event.key) {
    case "g": going = Date.now(); break;
    case "j": mark(1); break;
    case "k": mark(-1); break;
    case "t": switchClock(); break;
    case "?": $("#keys")?.showModal(); break;
    case "/": {
      const find = $('[data-key="/"]');
      if (find) { event.preventDefault(); find.focus(); }
      break;
    }
    default:
  }
});

// --- everything --------------------------------------------------------------------------------------------

function prepare(within) {
  showTimes(within);
  for (const input of all("[data-search-in]", within)) input.addEventListener("input", () => searchIn(input));
  // A form is sent once, however often its button is pressed.
  for (const form of all("form[method=post]", within)) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) { event.preventDefault(); return; }
      form.dataset.sent = "yes";
      for (const button of all("button", form)) button.classList.add("busy");
    });
  }
  document.dispatchEvent(new CustomEvent("console:prepared", { detail: within }));
}

addEventListener("pageshow", (event) => {
  // A page that the browser kept is gone back to: its forms can be sent anew.
  if (!event.persisted) return;
  for (const form of all("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of all("button", form)) button.classList.remove("busy");
  }
});

document.addEventListener("click", (event) => {
  const copyButton = event.target.closest("[data-copy],[data-copy-from]");
  if (copyButton) copy(copyButton);
  if (event.target.closest("[data-clock]")) switchClock();
  if (event.target.closest("[data-theme-button]")) switchTheme();
});
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

if (matchMedia("(max-width: 60rem)").matches) $("details.places")?.removeAttribute("open");
// Scripts of single pages put parts of them in place of others.
document.addEventListener("console:replaced", (event) => prepare(event.detail));
prepare(document);
listen();
