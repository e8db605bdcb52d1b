"""Pieces of a page as text. Everything that comes from outside is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files
from math import isfinite

SYMBOLS = {"USD": "$", "GBP": "£", "EUR": "€"}
DASH = "–"  # what is not known

Number = float | None


def page(title: str, lead: str, sections: Iterable[str]) -> str:
    """Return a whole HTML page that needs nothing from elsewhere."""
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        f"<header><h1>{escape(title)}</h1><p>{escape(lead)}</p></header>\n"
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(title: str, lead: str, content: str) -> str:
    """Return a titled part of the page; `content` is HTML already."""
    return f"<section><h2>{escape(title)}</h2><p>{escape(lead)}</p>\n{content}</section>"


def tiles(facts: Iterable[tuple[str, str, str, str]]) -> str:
    """Return big figures side by side, each (label, value, note, tone: good, bad or none)."""
    parts = [
        f'<div class="tile"><dt>{escape(name)}</dt>'
        f'<dd class="value {escape(tone)}">{escape(value)}</dd>'
        f'<dd class="note">{escape(note)}</dd></div>'
        for name, value, note, tone in facts
    ]
    return f'<dl class="tiles">{"".join(parts)}</dl>'


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the first cell of a row names it."""
    return _table(caption, head, ([escape(cell) for cell in row] for row in rows))


def bar_table(
    caption: str, head: Sequence[str], rows: Iterable[tuple[str, str, Number, Sequence[str]]]
) -> str:
    """Return a table with a bar in each row: (name, colour class, length 0…1, other cells)."""
    cells = (
        [escape(name), _bar(colour, length), *map(escape, others)]
        for name, colour, length, others in rows
    )
    return f'<div class="bars">{_table(caption, head, cells)}</div>'


def _bar(colour: str, length: Number) -> str:
    share = min(max(length, 0.0), 1.0) if known(length) and length is not None else 0.0
    return f'<span class="bar {escape(colour)}" style="width:{share:.1%}"></span>'


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    return (
        f'<div class="scroll" role="region" aria-label="{escape(caption)}" tabindex="0"><table>'
        f"<caption>{escape(caption)}</caption>\n<thead><tr>{top}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def figure(caption: str, note: str, svg: str) -> str:
    """Return a captioned drawing; `svg` is drawn, and named for those who cannot see it."""
    words = f"{escape(caption)}<span>{escape(note)}</span>"
    return f"<figure><figcaption>{words}</figcaption>{svg}</figure>"


def empty(words: str) -> str:
    """Return a sentence where a table or a drawing would have been."""
    return f'<p class="empty">{escape(words)}</p>'


def known(value: Number) -> bool:
    """Tell whether there is a number to show."""
    return value is not None and isfinite(value)


def money(value: Number, currency: str, digits: int = 0) -> str:
    """Return an amount, the sign before the currency: −$1,200."""
    if value is None or not known(value):
        return DASH
    sign = "−" if round(value, digits) < 0 else ""
    unit = SYMBOLS.get(currency, f"{currency} ")
    return f"{sign}{unit}{abs(value):,.{digits}f}"


def share(value: Number, *, signed: bool = False) -> str:
    """Return a ratio in per cent."""
    if value is None or not known(value):
        return DASH
    value = round(value, 3) + 0.0  # what rounds to zero has no sign
    return f"{value:{'+' if signed and value else ''}.1%}".replace("-", "−")


def decimal(value: Number) -> str:
    """Return a number with three decimals."""
    return f"{value:.3f}" if value is not None and known(value) else DASH
