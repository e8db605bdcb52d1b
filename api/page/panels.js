// What is said around the drawing: from answers of the service to elements, nothing fetched.

import { at, el, head, row, svg } from "./dom.js";
import {
  DASH, count, day, degraded, fine, fullDay, known, money, reasons, roughly, share, signed,
  signedFine, sum, units,
} from "./words.js";

const MAIN_REASONS = 6;
const OURS = "challenger";
const RIVAL = "weekday_mean";

/** Show what the numbers rest on, and what they had to do without. */
export function showBadges(model, said, missed, list = at("badges")) {
  const issued = said.weather_issued_at;
  const plain = [
    `Sales until ${fullDay(said.origin)}`,
    issued && `Weather forecast of ${day(issued)}`,
    `Model ${said.model_version}, learned until ${fullDay(model.trained_until)}`,
  ];
  const warnings = [...new Set(missed)].map((name) => el("li", { class: "warn" }, degraded(name)));
  list.replaceChildren(
    ...warnings, ...plain.filter(Boolean).map((text) => el("li", {}, text)));
}

/** Show the order of one series beside the old rule's; `order` null: none was proposed. */
export function showOrder(order, currency) {
  const tiles = order ? orderTiles(order, (value) => money(value, currency)) : [];
  at("order").replaceChildren(...tiles);
  at("order-say").replaceChildren(...orderSay(order, currency));
}

function orderSay(order, currency) {
  if (!order) return ["No order has been proposed for this item."];
  const what = order.order
    ? [el("strong", {}, count(order.order, "unit")), ` for ${money(order.spend, currency)}`]
    : [el("strong", {}, "nothing")];
  return order.due
    ? ["Orders are due today. Order ", ...what, "."]
    : ["Orders are not due today. If they were, it would be ", ...what, "."];
}

function orderTiles(order, price) {
  const saved = order.planner_cost - order.expected_cost;
  const theirs = `than the old rule’s ${price(order.planner_cost)}`;
  const apart = Math.abs(saved) < 0.5 ? ["as much as the old rule’s order", ""]
    : saved > 0 ? [`${price(saved)} less ${theirs}`, "good"]
      : [`${price(-saved)} more ${theirs}`, "bad"];
  const counted = order.counted ? `counted ${day(order.counted)}` : "never counted, taken as empty";
  return [
    tile(order.due ? "Order today" : "Order, if it were due", order.order, "units",
      `${price(order.spend)} at ${price(order.unit_cost)} each`, "", "main"),
    tile("The old rule would order", order.planner_order, "units",
      `${price(order.planner_order * order.unit_cost)}`),
    tile("Expected cost of our order", price(order.expected_cost), "", ...apart),
    tile("Demand it has to cover", order.expected_demand, "units",
      `${units(order.on_hand)} on the shelf, ${units(order.on_order)} on the way; ${counted}`),
    tile("Demand met", share(order.fill_rate), "",
      `${count(order.expected_lost, "unit")} wanted and not had`),
  ];
}

function tile(title, value, unit, note, tone = "", kind = "") {
  const shown = typeof value === "number" ? units(value) : value;
  return el("div", { class: `tile ${kind}` }, el("dt", {}, title),
    el("dd", { class: "value" }, shown, unit && el("small", {}, ` ${unit}`)),
    el("dd", { class: `note ${tone}` }, note));
}

/** Say how much is expected in all the days ahead. */
export function showAhead(days) {
  const all = sum(days.map((one) => one.mean));
  const usual = sum(days.map((one) => one.because.usual));
  const apart = Math.abs(all - usual) < 1 ? "about as usual"
    : `${signed(all - usual)} against the usual ${units(usual)}`;
  at("ahead-say").replaceChildren("About ", el("strong", {}, count(all, "unit")),
    ` are expected from ${day(days[0].date)} to ${day(days.at(-1).date)}: ${apart}.`);
}

/** Show what moves the days ahead most. */
export function showWhy(days, ahead) {
  const found = reasons(days, ahead);
  const usual = `A usual day: ${fine(days[0].because.usual)} units. `;
  at("why-say").textContent = usual + (found.length
    ? "What moves single days most:" : "No day differs from it by half a unit.");
  const most = Math.max(1, ...found.map((one) => Math.abs(one.units)));
  at("why").replaceChildren(...found.slice(0, MAIN_REASONS).map((one) => el("li", {},
    lever(one.units / most), el("span", {}, one.why),
    el("b", {}, `${signedFine(one.units)} units`))));
}

function lever(part) {
  const bar = { width: Math.abs(100 * part), height: 10, rx: 2 };
  return svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: part < 0 ? "down" : "up", ...bar }));
}

/** Show how the forecasts fared: lately in life, before in this store, and in money. */
export function showTrust(card, store, currency) {
  const found = [lately(card?.live), before(card?.backtest, store), worth(card?.backtest, currency)]
    .filter(Boolean);
  const none = el("li", {}, el("span", {}, "Nothing has been compared with what came true yet."));
  at("trust").replaceChildren(...(found.length ? found : [none]));
}

const fact = (title, text) => el("li", {}, el("b", {}, title), el("span", {}, text));

function lately(live) {
  const all = live?.overall;
  if (!known(all?.coverage_80)) return null;
  const lean = Math.abs(all.bias) < 0.005 ? "neither too high nor too low"
    : `${share(Math.abs(all.bias))} too ${all.bias > 0 ? "high" : "low"}`;
  const held = units(100 * all.coverage_80);
  return fact(`Lately the range that should hold 80 of 100 days held ${held}`,
    `All stores and items, ${units(all.rows)} days that came true; on average ${lean}.`);
}

function before(card, store) {
  const [ours, rival] = [OURS, RIVAL].map((name) => card?.models?.[name]?.by_store?.[store]);
  if (!known(ours?.wape) || !known(rival?.wape)) return null;
  return fact(`In ${store} the middle forecast missed by ${share(ours.wape)} of what was wanted`,
    `The average of the last eight such weekdays missed by ${share(rival.wape)}. Tried on ` +
    `${card.origins.length} weeks from ${fullDay(card.origins[0])}, up to two weeks ahead.`);
}

function worth(card, currency) {
  const [ours, planner] = [card?.inventory?.[OURS], card?.inventory?.planner];
  if (!ours || !planner || !currency) return null;
  const less = 1 - ours.of_planner_ratio;
  const apart = `${share(Math.abs(less))} ${less >= 0 ? "less" : "more"}`;
  return fact(`Ordering this way cost ${apart} than the old rule`,
    `${roughly(ours.cost_per_year, currency)} a year for all stores against ` +
    `${roughly(planner.cost_per_year, currency)}: lost sales, annoyed customers, full shelves. ` +
    `${share(ours.fill_rate)} of demand was met, with the old rule ${share(planner.fill_rate)}.`);
}

/** Fill the tables with the numbers of the drawing. */
export function showTables(days, ahead, past, imagined, currency) {
  const more = imagined ? ["What if"] : [];
  const titles = ["Day", "Low (p10)", "Middle", "High (p90)", "Expected", ...more, "of it usual",
    "weekday", "price", "weather", "Worth having", "Chance of rain", "Rain, mm"];
  const cells = days.map((one, place) => aheadCells(one, ahead[place], imagined?.[place]));
  const title = "Forecast, units a day; worth having: what should be on the shelf";
  at("ahead").replaceChildren(el("caption", {}, title), head(titles),
    el("tbody", {}, ...cells.map((one) => row(one))));
  at("past").replaceChildren(el("caption", {}, "Sales, newest first"),
    head(["Day", "Sold, units", "Sold out", "Price", "Rain, mm", "Mean °C"]),
    el("tbody", {}, ...past.toReversed().map((one) => row(pastCells(one, currency)))));
}

function aheadCells(one, goes, imagined) {
  const { p10, p50, p90 } = one.quantiles;
  const { usual, calendar, price, weather } = one.because;
  return [day(one.date), units(p10), units(p50), units(p90), fine(one.mean),
    ...(imagined ? [fine(imagined.mean)] : []), fine(usual), fine(calendar), fine(price),
    fine(weather), units(one.stock_target), share(goes?.rain_probability), fine(goes?.rain_mm)];
}

function pastCells(one, currency) {
  const out = one.sold_out === null ? DASH : one.sold_out ? "yes" : "no";
  const price = money(one.price, currency) + (one.promo ? ", promotion" : "");
  return [day(one.date), units(one.units), out, price, fine(one.precip_mm), fine(one.temp_c)];
}

/** List the orders of one store with their totals; `orders` null: they could not be read. */
export function showOrders(orders, currency, item, names) {
  at("store-say").textContent = orders?.length ? storeSay(orders, currency)
    : orders ? "No orders have been proposed for this store." : "The orders cannot be read now.";
  const parts = orders?.length ? orderTable(orders, currency, item, names) : [];
  at("orders").replaceChildren(...parts);
  at("csv").disabled = at("csv-all").disabled = !orders?.length;
}

const total = (orders, name) => sum(orders.map((one) => one[name]));
const old = (one) => one.planner_order * one.unit_cost;

function storeSay(orders, currency) {
  const [ours, rule] = ["order", "planner_order"].map((name) => count(total(orders, name), "unit"));
  const [spend, spent] = [total(orders, "spend"), sum(orders.map(old))];
  return `${ours} for ${money(spend, currency)}; the old rule would order ${rule} for ` +
    `${money(spent, currency)}.`;
}

function orderTable(orders, currency, item, names) {
  const titles = ["Item", "Order, units", `Order, ${currency}`, "Old rule, units",
    `Old rule, ${currency}`, "Expected cost, ours", "Expected cost, old rule", "On the shelf",
    "On the way", "Demand met"];
  const rows = orders.map((one) => {
    const name = names.get(one.item_id) ?? one.item_id;
    const link = el("a", { href: hash(one.store_id, one.item_id) }, name);
    const current = { "aria-current": one.item_id === item && "true" };
    return row([link, ...orderCells(one, old(one), currency)], current);
  });
  const all = Object.fromEntries(Object.keys(orders[0]).map((name) => [name, total(orders, name)]));
  all.fill_rate = all.expected_demand ? 1 - all.expected_lost / all.expected_demand : null;
  const last = row(["Total", ...orderCells(all, sum(orders.map(old)), currency)]);
  return [head(titles), el("tbody", {}, ...rows), el("tfoot", {}, last)];
}

function orderCells(one, spent, currency) {
  const price = (value) => money(value, currency);
  return [el("b", {}, units(one.order)), price(one.spend), units(one.planner_order), price(spent),
    price(one.expected_cost), price(one.planner_cost), units(one.on_hand), units(one.on_order),
    share(one.fill_rate)];
}

/** Return the address of one series inside the page. */
export function hash(store, item) {
  return `#/${encodeURIComponent(store)}/${encodeURIComponent(item)}`;
}
