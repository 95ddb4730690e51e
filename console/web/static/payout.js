// The slider through a payout's time: moving it shows the page as it was known then. Without this script the
// links beside it do the same.

const story = () => document.getElementById("story");
let asked = null;
let timer = 0;

function addressOf(slider) {
  const moments = JSON.parse(slider.dataset.moments);
  const at = moments[slider.valueAsNumber];
  const address = new URL(location.href);
  if (at === undefined) address.searchParams.delete("at");
  else address.searchParams.set("at", at);
  return address;
}

async function show(address) {
  asked?.abort();
  asked = new AbortController();
  try {
    const answer = await fetch(address, { signal: asked.signal, headers: { "X-Live": "1" }, credentials: "same-origin" });
    if (!answer.ok) { location.assign(address); return; }
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["story", "moment"]) {
      const now = fresh.getElementById(id);
      if (!now) { location.assign(address); return; }
      document.getElementById(id).replaceWith(now);
      document.dispatchEvent(new CustomEvent("console:replaced", { detail: now }));
    }
    history.replaceState(null, "", address);
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
  }
}

document.addEventListener("input", (event) => {
  if (!event.target.matches("[data-moments]")) return;
  clearTimeout(timer);
  timer = setTimeout(show, 120, addressOf(event.target));
});

if (story()) for (const slider of document.querySelectorAll("[data-moments]")) slider.closest("[hidden]")?.removeAttribute("hidden");
