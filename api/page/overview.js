// The overview: every order in one table, what needs a decision on top, and what planners decide.

import { Problem, ask, file } from "./api.js";
import { at, el } from "./dom.js";
import { hash } from "./panels.js";
import {
  ATTENTION, REASONS, STATUS, count, fine, money, share, shortDay, sum, units,
} from "./words.js";

const ROW = 52; // px, as in page.css: rows of one height can be drawn where they are seen
const FLAGS = 2; // shown in a row; more would need a higher row
const SPARE = 8; // rows drawn above and below
const AT_ONCE = 1000; // decisions of one request
const OPEN = ["proposed"];
const RELEASABLE = ["approved", "corrected"];
const book = { orders: [], shown: [], chosen: new Set(), sort: "urgency", down: true, about: null };
let report = null;

const keyOf = {
  urgency: (one) => (one.status === "proposed" ? 1e12 : 0) + (one.attention.length ? 1e9 : 0) +
    one.expected_cost,
  name: (one) => `${one.item_name} ${one.store_name}`,
  order: (one) => one.quantity ?? one.order,
  rule: (one) => one.planner_order,
  risk: (one) => one.expected_cost,
  stock: (one) => one.on_hand + one.on_order,
  demand: (one) => one.forecast_per_day,
  status: (one) => one.status,
};

/** Read all orders in one request and show them. */
export async function load(signal = null) {
  const answer = await ask("v1/orders?format=json", null, signal);
  show(answer);
  return answer;
}

/** Show these orders; what is chosen and filtered stays. */
export function show(answer) {
  Object.assign(book, { about: answer, orders: answer.orders });
  const receipts = new Set(book.orders.map((one) => one.receipt_id));
  book.chosen = new Set([...book.chosen].filter((receipt) => receipts.has(receipt)));
  choices("city", "All cities", "location_id", "location_id");
  choices("of-store", "All stores", "store_id", "store_name");
  choices("of-item", "All items", "item_id", "item_name");
  filter();
}

function choices(id, all, value, name) {
  const select = at(id);
  const pairs = new Map(book.orders.map((one) => [one[value], one[name]]));
  const sorted = [...pairs].sort((a, b) => String(a[1]).localeCompare(b[1]));
  const before = select.value;
  select.replaceChildren(el("option", { value: "" }, all),
    ...sorted.map(([key, text]) => el("option", { value: key }, text)));
  select.value = pairs.has(before) ? before : "";
}

function filter() {
  const words = at("search").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const [city, store, item, why] = ["city", "of-store", "of-item", "why-look"]
    .map((id) => at(id).value);
  const fits = (one) => (!city || one.location_id === city) && (!store || one.store_id === store)
    && (!item || one.item_id === item) && looks(one, why)
    && words.every((word) => text(one).includes(word));
  const key = keyOf[book.sort];
  const order = (a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (book.down ? -1 : 1);
  book.shown = book.orders.filter(fits).sort(order);
  draw();
}

const text = (one) =>
  `${one.item_name} ${one.store_name} ${one.location_id} ${one.item_id} ${one.store_id}`
    .toLowerCase();

function looks(one, why) {
  if (!why) return true;
  if (why === "any") return one.attention.length > 0;
  return one.attention.includes(why) || one.status === why;
}

function draw() {
  const { shown, about } = book;
  const price = (value) => money(value, about.currency);
  const undecided = shown.filter((one) => OPEN.includes(one.status));
  const ready = book.orders.filter((one) => RELEASABLE.includes(one.status));
  const amount = (list) => sum(list.map((one) => (one.quantity ?? one.order) * one.unit_cost));
  const looking = shown.filter((one) => one.attention.length).length;
  at("totals").replaceChildren(
    el("b", {}, count(shown.length, "order")), ` for ${price(amount(shown))} · old rule `,
    `${price(sum(shown.map((one) => one.planner_order * one.unit_cost)))} · `,
    el("b", {}, `${units(looking)} to look at`),
    ` · ${units(undecided.length)} not decided · ${units(ready.length)} approved`);
  at("approve-all").textContent = `Approve ${count(undecided.length, "order")}`;
  at("approve-all").disabled = !undecided.length;
  at("release").textContent = ready.length
    ? `Release ${count(ready.length, "order")} for ${price(amount(ready))}` : "Release";
  at("release").disabled = !ready.length;
  at("book").setAttribute("aria-rowcount", shown.length + 1);
  for (const button of at("book").querySelectorAll("thead button"))
    button.parentElement.ariaSort = button.dataset.sort === book.sort
      ? book.down ? "descending" : "ascending" : null;
  selection();
  rows();
}

function selection() {
  const number = book.chosen.size;
  at("chosen-say").textContent = number ? `${units(number)} selected` : "";
  for (const id of ["approve", "reject"]) at(id).hidden = !number;
  at("all").checked = number > 0 && book.shown.every((one) => book.chosen.has(one.receipt_id));
}

function rows() {
  const frame = at("book-frame");
  const first = Math.max(0, Math.floor(frame.scrollTop / ROW) - SPARE);
  const last = Math.min(book.shown.length,
    Math.ceil((frame.scrollTop + frame.clientHeight) / ROW) + SPARE);
  const focused = document.activeElement?.closest("[data-receipt]")?.dataset.receipt;
  const kind = document.activeElement?.dataset.kind;
  at("rows").replaceChildren(gap(first), ...book.shown.slice(first, last).map((one, place) =>
    line(one, first + place + 2)), gap(book.shown.length - last));
  at("nothing").hidden = book.shown.length > 0;
  if (focused) at("rows").querySelector(`[data-receipt="${focused}"] [data-kind="${kind}"]`)?.focus();
}

function gap(number) {
  const row = el("tr", { class: "gap", "aria-hidden": "true" }, el("td"));
  row.style.height = `${number * ROW}px`;
  row.hidden = !number;
  return row;
}

function line(one, index) {
  const price = (value) => money(value, book.about.currency);
  const label = `${one.item_name} in ${one.store_name}`;
  const box = el("input", { type: "checkbox", "data-kind": "box", "aria-label": `Select ${label}` });
  box.checked = book.chosen.has(one.receipt_id);
  box.onchange = () => {
    book.chosen[box.checked ? "add" : "delete"](one.receipt_id);
    selection();
  };
  const change = el("button", { type: "button", "data-kind": "edit", "aria-label":
    `${one.status === "released" ? "Correct" : "Edit"} ${label}` },
  one.status === "released" ? "Correct" : "Edit");
  change.onclick = () => edit(one);
  const tags = one.attention.slice(0, FLAGS).map((name) =>
    el("span", { class: "flag" }, ATTENTION[name] ?? name));
  const rest = one.attention.slice(FLAGS).map((name) => ATTENTION[name] ?? name);
  if (rest.length) tags.push(el("small", { title: rest.join(", ") }, `+${rest.length}`));
  const changed = one.quantity !== null && one.quantity !== one.order;
  const cells = [
    el("td", { class: "box" }, box),
    el("th", { scope: "row" }, el("a", { href: hash(one.store_id, one.item_id), "data-kind": "link" },
      one.item_name), el("small", {}, one.store_name)),
    el("td", { class: "look" }, ...tags),
    el("td", {}, el("b", {}, units(one.quantity ?? one.order)),
      changed ? el("small", {}, `proposed ${units(one.order)}`) : null),
    el("td", { class: "more" }, units(one.planner_order)),
    el("td", { class: "more" }, price(one.expected_cost),
      el("small", {}, `${share(one.fill_rate)} met`)),
    el("td", { class: "more" }, units(one.on_hand), el("small", {},
      `${one.on_order ? `+${units(one.on_order)}, ` : ""}${one.counted ? shortDay(one.counted) : "never"}`)),
    el("td", { class: "more" }, fine(one.forecast_per_day),
      el("small", {}, `sold ${fine(one.sold_per_day)}`)),
    el("td", { class: `state ${one.status}` }, el("span", {}, STATUS[one.status]), change),
  ];
  const urgent = one.attention.length && one.status === "proposed" ? "urgent" : null;
  return el("tr", { "data-receipt": one.receipt_id, "aria-rowindex": index, class: urgent,
    title: one.planner ? `${one.planner}${one.note ? `: ${one.note}` : ""}` : null }, ...cells);
}

// Decisions: one order through the dialog, many by their buttons.
function edit(one) {
  const form = at("edit-form");
  const released = one.status === "released" || one.status === "corrected";
  at("edit-title").textContent = `${one.item_name} in ${one.store_name}`;
  at("edit-say").textContent = `Proposed ${count(one.order, "unit")}, the old rule ` +
    `${units(one.planner_order)}. On the shelf ${units(one.on_hand)}, on the way ` +
    `${units(one.on_order)}; expected demand ${units(one.expected_demand)}. Packs of ` +
    `${one.pack_size}.`;
  at("quantity").value = one.quantity ?? one.order;
  at("quantity").step = one.pack_size;
  at("edit-reject").hidden = released;
  form.onsubmit = (event) => {
    event.preventDefault();
    const action = event.submitter === at("edit-reject") ? "reject" : released ? "correct" : "edit";
    const decision = { ...key(one), action, reason: at("reason").value,
      note: at("note").value.trim() || null };
    if (action !== "reject") decision.quantity = Number(at("quantity").value);
    at("edit").close();
    form.reset();
    report(() => decide([decision]));
  };
  at("edit").showModal();
  at("quantity").select();
}

const key = (one) => ({ receipt_id: one.receipt_id, revision: one.revision });
const chosen = () => book.orders.filter((one) => book.chosen.has(one.receipt_id));

async function decide(decisions) {
  try {
    for (let start = 0; start < decisions.length; start += AT_ONCE)
      await ask("v1/orders/decisions",
        { planner: planner(), decisions: decisions.slice(start, start + AT_ONCE) });
  } catch (error) {
    if (error.status !== 412 && error.status !== 409) throw error;
    await load();
    throw new Problem(error.message, error.detail, error.status);
  }
  book.chosen.clear();
  await load();
  at("status").textContent = `${count(decisions.length, "order")} decided.`;
}

function planner() {
  const name = at("planner").value.trim();
  if (!name && !sessionStorage.getItem("key")) {
    at("planner").focus();
    throw new Problem("Your name is missing", "Enter it above: the ledger keeps who decided.", 422);
  }
  localStorage.setItem("planner", name);
  return name || null;
}

async function release() {
  const who = planner();
  // The same id until an answer comes: a second try releases nothing twice.
  const id = sessionStorage.getItem("release") ?? crypto.randomUUID();
  sessionStorage.setItem("release", id);
  const done = await ask("v1/orders/releases", { release_id: id, planner: who });
  sessionStorage.removeItem("release");
  const spend = money(sum(done.orders.map((one) => one.spend)), done.currency);
  const links = ["csv", "json"].map((format) => {
    const button = el("button", { type: "button" }, format.toUpperCase());
    button.onclick = () => report(() => save(id, format, done.origin));
    return button;
  });
  at("released").replaceChildren(
    `Released ${count(done.orders.length, "order")} for ${spend}. Files: `, ...links);
  at("released").hidden = false;
  await save(id, "csv", done.origin);
  await load();
}

async function save(id, format, origin) {
  const blob = await file(`v1/orders/releases/${encodeURIComponent(id)}?format=${format}`);
  const address = URL.createObjectURL(blob);
  el("a", { href: address, download: `release-${origin}.${format}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

function rejectChosen() {
  const orders = chosen();
  at("edit-title").textContent = `Reject ${count(orders.length, "order")}`;
  at("edit-say").textContent = "Nothing is ordered for them.";
  at("edit").classList.add("rejecting");
  at("quantity").disabled = true;
  at("edit-save").hidden = true;
  at("edit-form").onsubmit = (event) => {
    event.preventDefault();
    const about = { action: "reject", reason: at("reason").value,
      note: at("note").value.trim() || null };
    at("edit").close();
    at("edit-form").reset();
    report(() => decide(orders.map((one) => ({ ...key(one), ...about }))));
  };
  at("edit-reject").hidden = false;
  at("edit").showModal();
}

/** Prepare the overview; `run(action)` runs what may fail and shows the problem. */
export function listen(run) {
  report = run;
  at("planner").value = localStorage.getItem("planner") ?? "";
  at("reason").append(...Object.entries(REASONS).map(([value, name]) =>
    el("option", { value }, name)));
  at("why-look").append(...Object.entries({ ...ATTENTION, ...STATUS }).map(([value, name]) =>
    el("option", { value }, name)));
  at("filters").oninput = () => { at("book-frame").scrollTop = 0; filter(); };
  at("filters").onsubmit = (event) => event.preventDefault();
  at("book-frame").onscroll = () => requestAnimationFrame(rows);
  new ResizeObserver(rows).observe(at("book-frame"));
  for (const button of at("book").querySelectorAll("thead button"))
    button.onclick = () => {
      const name = button.dataset.sort;
      book.down = book.sort === name ? !book.down : name !== "name" && name !== "status";
      book.sort = name;
      filter();
    };
  at("all").onchange = () => {
    book.chosen = new Set(at("all").checked ? book.shown.map((one) => one.receipt_id) : []);
    draw();
  };
  const approve = (orders) => report(() =>
    decide(orders.map((one) => ({ ...key(one), action: "approve" }))));
  at("approve-all").onclick = () =>
    approve(book.shown.filter((one) => OPEN.includes(one.status)));
  at("approve").onclick = () => approve(chosen());
  at("reject").onclick = rejectChosen;
  at("release").onclick = () => at("confirm").showModal();
  at("confirm-form").onsubmit = (event) => {
    event.preventDefault();
    at("confirm").close();
    report(release);
  };
  for (const name of ["edit", "confirm"])
    at(`${name}-cancel`).onclick = () => at(name).close();
  at("edit").onclose = () => {
    at("edit").classList.remove("rejecting");
    at("quantity").disabled = at("edit-save").hidden = false;
  };
}
