// Elements from plain values: text is always text, so no name in the data can become markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return an HTML element; `attributes` with the value null, undefined or false are left out. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Return an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Return the element of the page with this id. */
export function at(id) {
  return document.getElementById(id);
}

/** Return a table's head: one cell for each title. */
export function head(titles) {
  return el("thead", {}, el("tr", {}, ...titles.map((title) => el("th", { scope: "col" }, title))));
}

/** Return a table's row, its first cell the head of the row. */
export function row([first, ...cells], attributes = {}) {
  const rest = cells.map((cell) => el("td", {}, cell));
  return el("tr", attributes, el("th", { scope: "row" }, first), ...rest);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}
