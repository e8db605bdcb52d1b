// Numbers, days and reasons in plain words: English, in the reader's own notation.

const LOCALE = notation(navigator.language);
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 1 });
const percent = new Intl.NumberFormat(LOCALE, { style: "percent", maximumFractionDigits: 0 });
const formats = {
  day: { weekday: "short", day: "numeric", month: "short" },
  full: { weekday: "short", day: "numeric", month: "short", year: "numeric" },
  short: { day: "numeric", month: "short" },
  long: { weekday: "long", day: "numeric", month: "short" },
};
for (const [name, parts] of Object.entries(formats))
  formats[name] = new Intl.DateTimeFormat(LOCALE, { ...parts, timeZone: "UTC" });

export const DASH = "–";
const MINUS = "−";
const WORTH_SAYING = 0.5; // units: less is noise

// English words with the region's commas and order of day and month, so that a page never mixes.
function notation(language) {
  try {
    return `en-${new Intl.Locale(language || "en").maximize().region}`;
  } catch {
    return "en";
  }
}

export const units = (value) => (known(value) ? minus(whole.format(tidy(value, 0))) : DASH);
export const fine = (value) => (known(value) ? minus(tenth.format(tidy(value, 1))) : DASH);
export const share = (value) => (known(value) ? minus(percent.format(tidy(value, 2))) : DASH);
export const signed = (value) =>
  Math.round(value) === 0 ? "±0" : (value > 0 ? "+" : "") + units(value);
/** Return the same with a tenth where it is small. */
export const signedFine = (value) =>
  Math.abs(value) < 9.5 ? (value > 0 ? "+" : "") + fine(value) : signed(value);
// Browsers differ in the comma after the weekday; without it a line is calmer, too.
export const day = (date) => formats.day.format(utc(date)).replace(",", "");
export const fullDay = (date) => formats.full.format(utc(date)).replace(",", "");
export const shortDay = (date) => formats.short.format(utc(date));
export const longDay = (date) => formats.long.format(utc(date)).replace(",", "");
export const moment = (date) => date.toLocaleString(LOCALE, { dateStyle: "medium", timeStyle: "short" });
export const utc = (date) => new Date(`${date.slice(0, 10)}T00:00:00Z`);
export const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
export const sum = (values) => values.reduce((total, value) => total + value, 0);
/** Return "1 unit", "2 units". */
export function count(value, noun) {
  return `${units(value)} ${noun}${Math.round(value) === 1 ? "" : "s"}`;
}
const minus = (text) => text.replace("-", MINUS);
const tidy = (value, digits) => Number(value.toFixed(digits)) + 0; // never −0

/** Return money of a currency (ISO 4217); large amounts without cents. */
export function money(value, currency) {
  const digits = Math.abs(value) < 100 && !Number.isInteger(value) ? 2 : 0;
  return amount(value, currency, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Return a large amount of money in three figures: $4.34M. */
export function roughly(value, currency) {
  return amount(value, currency, { notation: "compact", maximumSignificantDigits: 3 });
}

// Not Intl's own currency style: in some regions its commas differ from those of plain numbers.
function amount(value, currency, digits) {
  const text = new Intl.NumberFormat(LOCALE, digits).format(Math.abs(value));
  const sign = value < 0 && /[1-9]/.test(text) ? MINUS : "";
  return `${sign}${currency ? symbol(currency) : ""}${text}`;
}

function symbol(currency) {
  const style = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
  const parts = new Intl.NumberFormat(LOCALE, style).formatToParts(0);
  const found = parts.find((part) => part.type === "currency").value;
  return /[a-z]$/i.test(found) ? `${found}\u00a0` : found;
}

/** Why an order deserves a look. */
export const ATTENTION = {
  lost_sales: "Lost sales likely",
  unusual_demand: "Unlike recent sales",
  overfull: "Too much stock",
  far_from_rule: "Far from the old rule",
  stale_count: "Old stock count",
  degraded: "Limited forecast",
};
/** What planners decided. */
export const STATUS = {
  proposed: "Not decided", approved: "Approved", rejected: "Rejected", released: "Released",
  corrected: "Corrected",
};
/** Why a planner changes an order. */
export const REASONS = {
  promotion: "Promotion", event: "Event nearby", weather: "Weather", stock: "Stock is different",
  supplier: "Supplier", range: "Range change", other: "Other",
};

const DEGRADED = {
  weather_issue_old: "Weather forecast is not today’s",
  weather_climatology: "No weather forecast: the usual weather of the season is assumed",
  orders_old: "Orders were made by an earlier forecast",
  orders_missing: "No orders have been proposed yet",
  last_good: "Running on a stored copy of the last good model",
  blind_model: "Forecast without looking at the weather",
};

/** Return what an answer had to do without, in plain words. */
export function degraded(name) {
  return DEGRADED[name] ?? `Limited: ${name.replaceAll("_", " ")}`;
}

/** Return what pushes each day up or down, largest first: {units, why}. */
export function reasons(days, ahead) {
  const found = days.flatMap((one, place) => [
    { units: one.because.weather, why: weatherWhy(one.date, ahead[place]) },
    { units: one.because.price, why: priceWhy(one.date, ahead[place]) },
    { units: one.because.calendar, why: calendarWhy(one) },
  ]);
  return found
    .filter((one) => Math.abs(one.units) >= WORTH_SAYING)
    .sort((a, b) => Math.abs(b.units) - Math.abs(a.units));
}

function weatherWhy(date, said) {
  const name = longDay(date);
  if (!known(said?.rain_probability) || !known(said.usual_probability)) return `Weather on ${name}`;
  const wetter = said.rain_probability - said.usual_probability;
  const chance = `${share(said.rain_probability)} chance`;
  if (wetter > 0.05) return `Rain on ${name} (${chance}, ${fine(said.rain_mm)} mm)`;
  if (wetter < -0.05) return `Little rain on ${name} (${chance})`;
  return `Weather on ${name} (rain ${chance})`;
}

function priceWhy(date, said) {
  return `${said?.promo ? "Promotion" : "Price"} on ${longDay(date)}`;
}

function calendarWhy({ date, because }) {
  return `${longDay(date)}: ${because.calendar > 0 ? "more" : "fewer"} are sold on such a day`;
}
