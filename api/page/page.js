// The page: what is chosen, what is asked of the service for it, and when it is asked again.

import { Problem, ask, file, series, unlock } from "./api.js";
import { draw, legend, timeline } from "./chart.js";
import { at, el } from "./dom.js";
import {
  hash, showAhead, showBadges, showOrder, showOrders, showTables, showTrust, showWhy,
} from "./panels.js";
import { count, fine, fullDay, known, moment, share, signed, units, utc } from "./words.js";
import * as overview from "./overview.js";
import * as whatIf from "./whatif.js";

const HISTORY_DAYS = 84;
const RESTS_ON = ["model_version", "data_version", "origin"];
const DAY_MS = 86_400_000;
const LOOK_AGAIN_MS = 5 * 60_000; // a page left open follows new data and models
const NOTHING = ["There are no forecasts yet", "Come back after the next forecast."];
const OFFLINE = "You are offline: the numbers are those read last.";
const SOMEBODY_ELSE = [409, 412, 422]; // problems of a decision, not of what is shown
const PHONE = 560; // px of drawing: on less, four weeks are enough
const page = { all: [], chosen: null, shown: null, imagined: null, of: null, waiting: 0, book: null,
  readAt: null };

async function start() {
  await trying(async () => {
    Object.assign(page, { all: [], model: await ask("v1/model"), shown: null, of: null });
    at("product").textContent = plain(page.model.name);
    await route();
    await readReports();
  });
}

async function readReports() {
  const found = await optional("v1/reports");
  const links = (found?.reports ?? []).map((one) =>
    el("a", { href: one.address.slice(1) }, one.title)); // relative: a proxy may add a prefix
  at("links").replaceChildren(...[...links, el("a", { href: "docs" }, "API reference")]
    .flatMap((link, place) => (place ? [" · ", link] : [link])));
}

async function optional(path, signal = null) {
  try {
    return await ask(path, null, signal);
  } catch (error) {
    if (error.status === 401 || error.name === "AbortError") throw error;
    return null; // the rest of the page is worth showing without it
  }
}

async function route() {
  page.asking?.abort();
  if (!location.hash.slice(2)) {
    await showOverview();
    return;
  }
  if (!page.all.length) await readSeries();
  const [store, item] = location.hash.startsWith("#/")
    ? location.hash.slice(2).split("/").map(decoded) : [];
  const known = page.all.find((one) => one.store_id === store && one.item_id === item);
  if (store && !known) throw unknown(store, item);
  page.chosen = known ?? page.all[0];
  fillChoices();
  await show();
}

async function readSeries() {
  const [list, card] = await Promise.all([series(), optional("v1/scorecard")]);
  Object.assign(page, { all: list.series, card });
  if (!page.all.length) throw new Problem(...NOTHING);
}

async function showOverview() {
  page.asking = new AbortController();
  page.book = await overview.load(page.asking.signal);
  if (differ(page.book, page.model)) page.model = await ask("v1/model", null, page.asking.signal);
  at("content").hidden = at("choose").hidden = true;
  at("overview").hidden = false;
  overview.show(page.book); // again: only what is seen has a height
  showBadges(page.model, page.book, page.book.degraded, at("overview-badges"));
  document.title = "What to order";
}

function unknown(store, item) {
  fillChoices();
  at("store").value = at("item").value = ""; // so that any choice is a change
  for (const id of ["item", "before", "after"]) at(id).disabled = true;
  at("content").hidden = true;
  const title = `There is no forecast for ${item ?? "this item"} in ${store}`;
  return new Problem(title, "Choose a store and an item above.", 404);
}

async function show() {
  page.asking = new AbortController();
  const { signal } = page.asking;
  let [forecast, history] = await read(signal);
  if (differ(forecast, history)) [forecast, history] = await read(signal); // a swap came between
  if (differ(forecast, page.model)) page.model = await ask("v1/model", null, signal);
  const store = page.chosen.store_id;
  if (page.of !== store || differ(forecast, page.orders))
    Object.assign(page, { orders: await optional(ordersOf(store), signal), of: store });
  const { days } = forecast.forecasts[0];
  page.shown = { forecast, days, past: history.days, ahead: history.ahead };
  page.imagined = null;
  whatIf.begin(page.model.weather !== "none", page.chosen, page.shown);
  render();
}

function read(signal) {
  const { store_id: store, item_id: item } = page.chosen;
  const here = `${encodeURIComponent(store)}/${encodeURIComponent(item)}`;
  return Promise.all([
    ask(`v1/forecasts/${here}`, null, signal),
    ask(`v1/history/${here}?days=${HISTORY_DAYS}`, null, signal)]);
}

const ordersOf = (store) => `v1/orders?store=${encodeURIComponent(store)}`;
const differ = (one, other) => RESTS_ON.some((name) => one?.[name] !== other?.[name]);

function render() {
  const { chosen, model, orders, card, shown } = page;
  const { store_id: store, item_id: item } = chosen;
  const currency = orders?.currency;
  const order = orders?.orders.find((one) => one.item_id === item) ?? null;
  at("content").hidden = false;
  at("overview").hidden = true;
  at("title").replaceChildren(chosen.item_name, el("span", {}, ` in ${store}`));
  document.title = `${chosen.item_name}, ${store}: what to order`;
  showBadges(model, shown.forecast, [...shown.forecast.degraded, ...(orders?.degraded ?? [])]);
  showOrder(order, currency);
  showAhead(shown.days);
  showWhy(shown.days, shown.ahead);
  showTrust(card, store, currency);
  at("store-title").textContent = `All orders of ${store}`;
  const names = new Map(page.all.map((one) => [one.item_id, one.item_name]));
  showOrders(orders?.orders ?? null, currency, item, names);
  at("rests").textContent = `Forecast ${shown.forecast.forecasts[0].receipt_id}, made of data ` +
    `${shown.forecast.data_version} by model version ${shown.forecast.model_version}.`;
  picture();
  say(`${chosen.item_name} in ${store}. ${at("order-say").textContent}`);
}

function picture() {
  if (!page.shown) return;
  const { days, past, ahead } = page.shown;
  const since = utc(days[0].date) - 7 * DAY_MS * Number(at("weeks").value);
  const recent = past.filter((one) => utc(one.date) >= since);
  const line = timeline(recent, ahead, days, page.imagined);
  const label = `Units of ${page.chosen.item_name} a day: sales since ${fullDay(line[0].date)}, ` +
    `forecast until ${fullDay(line.at(-1).date)}. The table below has the same numbers.`;
  const chart = draw(at("chart"), line, label);
  at("legend").replaceChildren(...legend(Boolean(page.imagined)));
  showTables(days, ahead, past, page.imagined, page.orders?.currency);
  scrubber(line, chart);
}

function scrubber(line, chart) {
  const slider = at("day");
  const first = line.findIndex((one) => one.said);
  const kept = line.findIndex((one) => one.date === page.read);
  slider.max = line.length - 1;
  slider.value = kept < 0 ? first : kept;
  slider.style.marginInlineStart = `${Math.max(0, chart.inset[0] - 8)}px`;
  slider.style.width = `calc(100% - ${chart.inset[0] + chart.inset[1] - 16}px)`;
  const read = () => {
    const one = line[slider.value];
    page.read = one.date;
    const [name, text] = [fullDay(one.date), reading(one)];
    at("read").replaceChildren(el("b", {}, name), text);
    slider.setAttribute("aria-valuetext", `${name}: ${text}`);
    chart.mark(slider.value);
  };
  slider.oninput = read;
  at("chart").onpointermove = at("chart").onpointerdown = (event) => {
    slider.value = chart.place(event.clientX);
    read();
  };
  read();
}

function reading(one) {
  if (one.said) return forecastReading(one);
  if (!one.sold) return "closed";
  const { units: sold, sold_out: out, precip_mm: mm, promo } = one.sold;
  return [`${count(sold, "unit")} sold${out ? " (sold out)" : ""}`, promo ? "promotion" : "",
    known(mm) ? `${fine(mm)} mm of rain` : ""].filter(Boolean).join(" · ");
}

function forecastReading({ said, goes, imagined }) {
  const { p05, p50, p95 } = said.quantiles;
  const parts = [known(p05) && known(p95)
    ? `middle ${units(p50)}, likely ${units(p05)} to ${units(p95)} units`
    : `${units(said.mean)} units`];
  if (known(goes.rain_probability))
    parts.push(`rain ${share(goes.rain_probability)}, ${fine(goes.rain_mm)} mm`);
  if (Math.round(said.because.weather)) parts.push(`weather ${signed(said.because.weather)}`);
  if (imagined) parts.push(`what if: ${units(imagined.quantiles.p50)}`);
  return parts.join(" · ");
}

function fillChoices() {
  at("choose").hidden = false;
  const stores = [...new Set(page.all.map((one) => one.store_id))];
  const { store_id: store, item_id: item } = page.chosen ?? page.all[0];
  const items = page.all.filter((one) => one.store_id === store);
  options(at("store"), stores.map((id) => [id, id]), store);
  const unique = new Set(items.map((one) => one.item_name)).size === items.length;
  const name = (one) => (unique ? one.item_name : `${one.item_name} · ${one.item_id}`);
  options(at("item"), items.map((one) => [one.item_id, name(one)]), item);
  for (const id of ["store", "item", "before", "after"]) at(id).disabled = false;
}

function options(select, pairs, chosen) {
  select.replaceChildren(...pairs.map(([value, text]) => el("option", { value }, text)));
  select.value = chosen;
}

function go(store, item) {
  const ofStore = page.all.filter((one) => one.store_id === store);
  const found = ofStore.find((one) => one.item_id === item) ?? ofStore[0];
  location.hash = hash(found.store_id, found.item_id);
}

function step(by) {
  const ofStore = page.all.filter((one) => one.store_id === at("store").value);
  const place = ofStore.findIndex((one) => one.item_id === at("item").value) + by;
  go(at("store").value, ofStore.at(place % ofStore.length).item_id);
}

// Runs what may fail: says that it goes on, then what went wrong and how to go on.
async function trying(action) {
  clearTimeout(page.waiting);
  at("main").setAttribute("aria-busy", "true");
  try {
    await action();
    at("problem").hidden = at("unlock").hidden = true;
    page.readAt = new Date();
    age(false);
  } catch (error) {
    if (error.name === "AbortError") return;
    complain(error);
  }
  at("loading").hidden = true;
  at("main").setAttribute("aria-busy", "false");
}

function complain(error) {
  const problem = error instanceof Problem ? error
    : new Problem("The page made a mistake", "If it stays, tell your administrator.");
  if (problem !== error) console.error(error);
  at("unlock").hidden = problem.status !== 401;
  if (!SOMEBODY_ELSE.includes(problem.status)) outdated();
  const retry = el("button", { type: "button" }, "Try again");
  retry.onclick = start;
  at("problem").replaceChildren(el("p", {}, el("b", {}, problem.message)),
    ...(problem.detail ? [el("p", {}, problem.detail)] : []),
    ...(problem.status === 401 || problem.status === 404 ? [] : [retry]));
  at("problem").hidden = false;
  if (problem.again) page.waiting = setTimeout(start, 1000 * problem.again);
}

// Numbers that could not be read again are greyed and dated; another series' are not shown.
function outdated() {
  const { chosen, shown } = page;
  if (!at("content").hidden && shown?.forecast.forecasts[0].store_id + shown?.forecast
    .forecasts[0].item_id !== chosen?.store_id + chosen?.item_id) at("content").hidden = true;
  age(true);
}

function age(old) {
  for (const id of ["content", "overview"]) at(id).classList.toggle("old", old);
  at("dated").hidden = !old || !page.readAt || (at("content").hidden && at("overview").hidden);
  at("dated").textContent = page.readAt ? `These numbers are from ${moment(page.readAt)}.` : "";
}

async function lookAgain() {
  if (!document.hidden && !at("overview").hidden) return trying(showOverview);
  if (document.hidden || !page.of) return;
  const paths = ["v1/model", ordersOf(page.of)];
  const [now, orders] = await Promise.all(paths.map((path) => ask(path))).catch((error) => {
    complain(error);
    return [];
  });
  if (!now) return;
  const others = JSON.stringify(orders) !== JSON.stringify(page.orders);
  if (others || differ(now, page.model)) await start();
}

async function download(store) {
  await trying(async () => {
    const path = `v1/orders?format=csv${store ? `&store=${encodeURIComponent(store)}` : ""}`;
    const address = URL.createObjectURL(await file(path));
    const name = `orders-${store || "all"}-${page.model.origin}.csv`;
    el("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  });
}

const say = (text) => { at("status").textContent = text; };
const plain = (name) => (name[0].toUpperCase() + name.slice(1)).replaceAll(/[-_]/g, " ");

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function connection() {
  at("offline").hidden = navigator.onLine;
  at("offline").textContent = navigator.onLine ? "" : OFFLINE;
  if (navigator.onLine && !at("problem").hidden) start();
}

function listen() {
  at("store").onchange = () => go(at("store").value, at("item").value);
  at("item").onchange = () => go(at("store").value, at("item").value);
  at("before").onclick = () => step(-1);
  at("after").onclick = () => step(1);
  at("choose").onsubmit = (event) => event.preventDefault();
  at("csv").onclick = () => download(page.chosen.store_id);
  at("csv-all").onclick = () => download("");
  at("weeks").value = at("main").clientWidth < PHONE ? "4" : "8";
  at("weeks").onchange = picture;
  at("unlock").onsubmit = (event) => {
    event.preventDefault();
    unlock(at("key").value);
    start();
  };
  overview.listen(trying);
  whatIf.listen((imagined) => { page.imagined = imagined; picture(); });
  addEventListener("hashchange", () => {
    if (!location.hash.startsWith("#/") && location.hash) return; // a place in the page
    if (at("orders").contains(document.activeElement)) at("main").focus();
    trying(route);
  });
  addEventListener("online", connection);
  addEventListener("offline", connection);
  addEventListener("visibilitychange", lookAgain);
  setInterval(lookAgain, LOOK_AGAIN_MS);
  let width = 0;
  new ResizeObserver(([entry]) => {
    if (entry.contentRect.width === width) return;
    width = entry.contentRect.width;
    picture();
  }).observe(at("chart"));
}

listen();
connection();
await start();
