// The drawing: sales as columns, the forecast as bands around its middle, rain below.

import { el, svg } from "./dom.js";
import { fine, known, shortDay, units, utc } from "./words.js";

const HEIGHT = 268;
const RAIN = { top: 292, height: 56 };
const FOOT = 22;
const SPACE = { left: 40, right: 8, top: 12 };
const BANDS = [["p05", "p95"], ["p10", "p90"], ["p30", "p70"]];
const LEAST_UNITS = 4; // a scale of one umbrella would make noise look like news
const LEAST_MM = 5;

/** Return one entry for each day that is drawn: past days sold, then days forecast. */
export function timeline(past, ahead, days, imagined) {
  const sold = new Map(past.map((one) => [one.date, one]));
  const first = past.length ? utc(past[0].date) : utc(days[0].date);
  const before = Math.round((utc(days[0].date) - first) / 86_400_000);
  const dates = [...Array(before).keys()].map((step) =>
    new Date(first.getTime() + step * 86_400_000).toISOString().slice(0, 10));
  return [
    ...dates.map((date) => ({ date, sold: sold.get(date) ?? null })),
    ...days.map((said, place) => ({
      date: said.date, said, goes: ahead[place] ?? {}, imagined: imagined?.[place] ?? null,
    })),
  ];
}

/** Draw the days into `host` and return {mark(place), place(clientX)}. */
export function draw(host, line, label) {
  const width = Math.max(280, host.clientWidth);
  const scale = scales(line, width);
  const cursor = svg("g");
  const ahead = line.findIndex((one) => one.said);
  const picture = svg(
    "svg",
    { viewBox: `0 0 ${width} ${RAIN.top + RAIN.height + FOOT}`, role: "img", "aria-label": label },
    weekends(line, scale), grid(scale, width), columns(line, scale),
    forecast(line.slice(ahead), ahead, scale), rain(line, scale), days(line, ahead, scale), cursor,
  );
  host.replaceChildren(picture);
  return {
    mark: (place) => cursor.replaceChildren(...pointer(line[place], place, scale)),
    place: (clientX) => {
      const inside = clientX - picture.getBoundingClientRect().left - SPACE.left;
      return Math.min(line.length - 1, Math.max(0, Math.floor(inside / scale.step)));
    },
    inset: [SPACE.left + scale.step / 2, SPACE.right + scale.step / 2],
  };
}

/** Return the entries of the legend: [swatch, words]. */
export function legend(imagining) {
  const entries = [
    ["column", "sold"], ["out", "sold out"], ["median", "forecast, middle"],
    ["band", "9 days in 10"], ["rain", "rain"],
    ...(imagining ? [["imagined", "what if"]] : []),
  ];
  return entries.map(([kind, words]) => el("li", {}, swatch(kind), words));
}

function swatch(kind) {
  const line = kind === "median" || kind === "imagined";
  const shape = line
    ? svg("line", { x1: 0, x2: 24, y1: 6, y2: 6, class: `line ${kind}` })
    : svg("rect", { ...(kind === "band" ? { x: 0, width: 24 } : { x: 8, width: 8 }), y: 1,
      height: 11, rx: 1, class: kind });
  return svg("svg", { viewBox: "0 0 24 13", "aria-hidden": "true" }, shape);
}

function scales(line, width) {
  const step = (width - SPACE.left - SPACE.right) / line.length;
  const counts = line.flatMap((one) => [one.sold?.units, ...high(one.said), ...high(one.imagined)]);
  const marks = ticks(Math.max(LEAST_UNITS, ...counts.filter(known)));
  const top = marks.at(-1);
  const mm = line.flatMap((one) => [one.sold?.precip_mm, one.goes?.rain_mm, one.imagined?.rain_mm]);
  const most = ticks(Math.max(LEAST_MM, ...mm.filter(known))).at(-1);
  return {
    step, marks, most,
    x: (place) => SPACE.left + step * (place + 0.5),
    y: (value) => SPACE.top + (HEIGHT - SPACE.top) * (1 - value / top),
    mm: (value) => (RAIN.height * value) / most,
  };
}

const high = (said) => (said ? [said.quantiles.p95 ?? said.mean] : []);

// Whole, round numbers on the scale, three to six of them.
function ticks(value) {
  const size = 10 ** Math.floor(Math.log10(value / 3));
  const apart = [1, 2, 5, 10].map((part) => part * size).findLast((one) => 3 * one <= value);
  return [...Array(Math.ceil(value / apart) + 1).keys()].map((place) => place * apart);
}

function weekends(line, scale) {
  const free = line.flatMap((one, place) => (utc(one.date).getUTCDay() % 6 === 0 ? [place] : []));
  return svg("g", {}, ...free.map((place) => svg("rect", {
    class: "weekend", x: scale.x(place) - scale.step / 2, width: scale.step + 0.5,
    y: SPACE.top, height: RAIN.top + RAIN.height - SPACE.top,
  })));
}

function grid(scale, width) {
  const rules = scale.marks.flatMap((mark) => {
    const y = scale.y(mark);
    return [
      svg("line", { class: "grid", x1: SPACE.left, x2: width - SPACE.right, y1: y, y2: y }),
      svg("text", { x: SPACE.left - 6, y: y + 4, "text-anchor": "end" }, units(mark)),
    ];
  });
  const ground = RAIN.top + RAIN.height;
  return svg("g", { "aria-hidden": "true" }, ...rules,
    svg("line", { class: "grid", x1: SPACE.left, x2: width - SPACE.right, y1: ground, y2: ground }),
    svg("text", { x: SPACE.left - 6, y: RAIN.top + 10, "text-anchor": "end" }, fine(scale.most)),
    svg("text", { x: SPACE.left - 6, y: RAIN.top + 24, "text-anchor": "end" }, "mm"));
}

function columns(line, scale) {
  const wide = Math.max(1.5, scale.step * 0.64);
  const shapes = line.flatMap(({ sold }, place) => {
    if (!sold) return [];
    const [x, y] = [scale.x(place), scale.y(sold.units)];
    const size = { width: wide, height: scale.y(0) - y, rx: Math.min(2, wide / 4) };
    const box = { x: x - wide / 2, y, ...size };
    if (!sold.sold_out) return [svg("rect", { class: "column", ...box })];
    const tip = `M${x} ${y - 10}l4 6h-8z`; // an arrow: the wish went on upwards
    return [svg("rect", { class: "out", ...box }), svg("path", { class: "mark", d: tip })];
  });
  return svg("g", {}, ...shapes);
}

function forecast(ahead, from, scale) {
  const said = ahead.map((one) => one.said);
  const bands = BANDS.filter((ends) => ends.every((name) => name in said[0].quantiles));
  const shapes = bands.map((ends) => band(said, ends, from, scale, "band"));
  shapes.push(middle(said, from, scale, "line median"));
  const imagined = ahead.map((one) => one.imagined);
  if (imagined[0]) {
    shapes.push(band(imagined, ["p10", "p90"], from, scale, "imagined-band"));
    shapes.push(middle(imagined, from, scale, "line imagined"));
  }
  return svg("g", {}, ...shapes.filter(Boolean));
}

function band(said, [low, high], from, scale, kind) {
  if (!(low in said[0].quantiles && high in said[0].quantiles)) return null;
  const up = spread(said.map((one) => one.quantiles[high]), from, scale);
  const down = spread(said.map((one) => one.quantiles[low]), from, scale).reverse();
  return svg("polygon", { class: kind, points: [...up, ...down].join(" ") });
}

function middle(said, from, scale, kind) {
  const values = said.map((one) => one.quantiles.p50 ?? one.mean);
  return svg("polyline", { class: kind, points: spread(values, from, scale).join(" ") });
}

// The first and the last day are drawn to their edges: a day is wide, not a point.
function spread(values, from, scale) {
  const points = values.map((value, place) => [scale.x(from + place), scale.y(value)]);
  const [first, last] = [points[0], points.at(-1)];
  return [[first[0] - scale.step / 2, first[1]], ...points, [last[0] + scale.step / 2, last[1]]]
    .map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`);
}

function rain(line, scale) {
  const wide = Math.max(1.5, scale.step * 0.64);
  const bar = (place, mm, attributes) => svg("rect", {
    x: scale.x(place) - wide / 2, width: wide, y: RAIN.top + RAIN.height - scale.mm(mm),
    height: scale.mm(mm), ...attributes,
  });
  const shapes = line.flatMap((one, place) => {
    if (known(one.sold?.precip_mm)) return [bar(place, one.sold.precip_mm, { class: "fell" })];
    if (!known(one.goes?.rain_mm)) return [];
    const sure = (0.25 + 0.75 * one.goes.rain_probability).toFixed(2);
    const said = bar(place, one.goes.rain_mm, { class: "rain", "fill-opacity": sure });
    if (!known(one.imagined?.rain_mm)) return [said];
    return [said, bar(place, one.imagined.rain_mm, { class: "imagined-rain" })];
  });
  return svg("g", {}, ...shapes);
}

function days(line, ahead, scale) {
  const every = Math.ceil(52 / (7 * scale.step)) * 7;
  const mondays = line.flatMap((one, place) => (utc(one.date).getUTCDay() === 1 ? [place] : []));
  const last = mondays.at(-1);
  const named = mondays.filter((place) => (last - place) % every === 0);
  const y = RAIN.top + RAIN.height + 16;
  const edge = scale.x(ahead) - scale.step / 2;
  return svg("g", { "aria-hidden": "true" },
    ...named.map((place) =>
      svg("text", { x: scale.x(place), y, "text-anchor": "middle" }, shortDay(line[place].date))),
    svg("line", { class: "now", x1: edge, x2: edge, y1: SPACE.top, y2: RAIN.top + RAIN.height }),
    svg("text", { x: edge + 5, y: SPACE.top + 10 }, "forecast →"));
}

function pointer(one, place, scale) {
  const x = scale.x(place);
  const value = one.sold?.units ?? one.said?.quantiles.p50 ?? one.said?.mean;
  const [y1, y2] = [SPACE.top, RAIN.top + RAIN.height];
  const hair = svg("line", { class: "cursor", x1: x, x2: x, y1, y2 });
  if (!known(value)) return [hair];
  return [hair, svg("circle", { class: "dot", cx: x, cy: scale.y(value), r: 3.5 })];
}
