// What if it rained otherwise, or the price were another: asked of the service, never saved.

import { ask } from "./api.js";
import { at, el } from "./dom.js";
import { count, day, known, share, signed, sum, units } from "./words.js";

const INVITATION =
  "Move a slider: the forecast is made anew for other weather or another price.";
const REST_MS = 150; // a slider in motion asks once it rests
const pending = { asking: null, resting: 0, tell: null };
let about = null;

/** Call `tell(days)` with the imagined days, or with null when nothing is imagined any more. */
export function listen(tell) {
  pending.tell = tell;
  for (const id of ["rain", "price"]) at(id).oninput = moved;
  at("whatif").onsubmit = (event) => event.preventDefault();
  at("whatif").onreset = () => setTimeout(moved); // after the browser has put the sliders back
}

/** Begin anew with another series; `sees`: whether its model looks at the weather. */
export function begin(sees, key, shown) {
  about = { key, shown };
  cancel();
  at("rain").value = 1;
  at("price").value = 0;
  at("rain").disabled = !sees;
  at("blind").hidden = sees;
  label(factor(), change());
  conclude(null);
}

const factor = () => Number(at("rain").value);
const change = () => Number(at("price").value);

function cancel() {
  clearTimeout(pending.resting);
  pending.asking?.abort();
}

function moved() {
  cancel();
  label(factor(), change());
  if (factor() === 1 && change() === 0) {
    conclude(null);
    pending.tell(null);
    return;
  }
  pending.resting = setTimeout(imagine, REST_MS);
}

function label(rain, price) {
  const rains = { 0: "No rain at all", 1: "As forecast" }[rain]
    ?? `${share(rain)} of the rain forecast`;
  const prices = price ? `${signed(price)} % on every day` : "As planned";
  for (const [id, text] of [["rain", rains], ["price", prices]]) {
    at(`${id}-say`).textContent = text;
    at(id).setAttribute("aria-valuetext", text);
  }
  at("reset").disabled = rain === 1 && price === 0;
}

async function imagine() {
  pending.asking = new AbortController();
  const { store_id, item_id } = about.key;
  const what = { rain_factor: factor() };
  if (change()) what.price = prices(change());
  try {
    const asked = { series: [{ store_id, item_id }], what_if: what };
    const found = await ask("v1/forecasts", asked, pending.asking.signal);
    const days = rained(found.forecasts[0].days, factor());
    conclude(days);
    pending.tell(days);
  } catch (error) {
    if (error.name === "AbortError") return;
    at("whatif-say").textContent = `${error.message}. ${error.detail ?? ""}`;
  }
}

function prices(percent) {
  return Object.fromEntries(about.shown.ahead.map((one) =>
    [one.date, Math.max(0.01, Math.round(one.price * (100 + percent)) / 100)]));
}

// The service scales chance and amount alike; the drawing shows the amount it went by.
function rained(days, scale) {
  return days.map((one, place) => {
    const mm = about.shown.ahead[place]?.rain_mm;
    return { ...one, rain_mm: scale !== 1 && known(mm) ? mm * scale : null };
  });
}

function conclude(days) {
  at("whatif").classList.toggle("imagining", Boolean(days));
  if (!days) {
    at("whatif-say").textContent = INVITATION;
    return;
  }
  const [then, now] = [days, about.shown.days].map((list) => list.map((one) => one.mean));
  const most = largest(days, then.map((one, place) => one - now[place]));
  const instead = ` instead of ${units(sum(now))} in ${days.length} days ` +
    `(${signed(sum(then) - sum(now))}).${most}`;
  at("whatif-say").replaceChildren(el("span", { class: "tag" }, "What if"), " ",
    el("b", {}, count(sum(then), "unit")), instead);
}

function largest(days, moves) {
  const move = moves.toSorted((a, b) => Math.abs(b) - Math.abs(a))[0];
  if (!Math.round(move)) return "";
  return ` Most on ${day(days[moves.indexOf(move)].date)}: ${signed(move)}.`;
}
