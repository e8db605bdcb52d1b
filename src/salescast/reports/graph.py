"""A drawing of what follows what: boxes in columns, the first on the left, as one SVG."""

from collections.abc import Mapping, Sequence
from html import escape

WIDE, HIGH = 116, 34  # of a box, in pixels
ACROSS, DOWN = 44, 20  # between boxes
ABOVE = 84  # room for arrows that pass over columns
STYLE = """
.box rect{fill:var(--md-code-bg-color,#eef3f6);stroke:#0a6a96;stroke-width:1.5}
.box text{font:13px system-ui,sans-serif;fill:currentColor;text-anchor:middle}
.arrow{fill:none;stroke:#7b838c;stroke-width:1.3}
.box.dim,.arrow.dim{opacity:.15}.box{cursor:pointer}.arrow.lit{stroke:#b4640b;stroke-width:2.5}
"""

Edges = Mapping[tuple[str, str], Sequence[str]]
"""(from, to) → what is handed over."""


def draw(names: Sequence[str], edges: Edges, notes: Mapping[str, str], title: str) -> str:
    """Return an SVG of the nodes in columns by their longest way from the start.

    `names` are in an order in which every edge leads forward; `notes`: what a box says when it is
    pointed at. Everything is escaped.
    """
    column = columns(names, edges)
    place = _places(names, column)
    width = (max(column.values()) + 1) * (WIDE + ACROSS)
    height = max(y for _, y in place.values()) + HIGH + DOWN
    arrows = "".join(_arrow(place, ends, things) for ends, things in edges.items())
    boxes = "".join(_box(name, *place[name], notes.get(name, "")) for name in names)
    return (
        f'<svg class="graph" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'
        f"<style>{STYLE}</style>{arrows}{boxes}</svg>"
    )


def columns(names: Sequence[str], edges: Edges) -> dict[str, int]:
    """Return the column of each node: one after the last of those that lead to it."""
    column: dict[str, int] = {}
    for name in names:
        before = [column[start] for start, end in edges if end == name and start in column]
        column[name] = max(before, default=-1) + 1
    return column


def _places(names: Sequence[str], column: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    taken: dict[int, int] = {}
    place = {}
    for name in names:
        row = taken.get(column[name], 0)
        taken[column[name]] = row + 1
        x = column[name] * (WIDE + ACROSS) + ACROSS // 2
        place[name] = (x, row * (HIGH + 2 * DOWN) + ABOVE)
    return place


def _box(name: str, x: int, y: int, note: str) -> str:
    return (
        f'<g class="box" tabindex="0" data-name="{escape(name)}"><title>{escape(note)}</title>'
        f'<rect x="{x}" y="{y}" width="{WIDE}" height="{HIGH}" rx="7"/>'
        f'<text x="{x + WIDE // 2}" y="{y + 22}">{escape(name)}</text></g>'
    )


def _arrow(
    place: Mapping[str, tuple[int, int]], ends: tuple[str, str], things: Sequence[str]
) -> str:
    (x, y), (to_x, to_y) = place[ends[0]], place[ends[1]]
    x, y, to_y = x + WIDE, y + HIGH // 2, to_y + HIGH // 2
    bend = (to_x - x) // 2
    rise = min(max((to_x - x) - ACROSS, 0) // 6, ABOVE)  # over the boxes between, not through them
    told = f"{ends[0]} → {ends[1]}: {', '.join(things)}"
    return (
        f'<path class="arrow" data-from="{escape(ends[0])}" data-to="{escape(ends[1])}" '
        f'd="M{x} {y}C{x + bend} {y - rise} {to_x - bend} {to_y - rise} {to_x} {to_y}">'
        f"<title>{escape(told)}</title></path>"
    )
