"""Jinja2 templates next to the code, and how they print numbers. Values are always escaped."""

from math import isfinite
from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"
SYMBOLS = {"USD": "$", "GBP": "£", "EUR": "€"}
DASH = "–"  # no number

Number = float | None


def render(template: Path, **values: object) -> str:
    """Return the text of a template, which may build on those of `TEMPLATES`.

    HTML is escaped; in Markdown no value can become markup. An undefined name raises an error.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=template.suffix == ".html",  # noqa: S701 - Markdown escapes by `finalize`
        finalize=markdown_text if template.suffix == ".md" else None,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"money": money, "share": share, "decimal": decimal, "words": words}
    return environment.get_template(template.name).render(**values) + "\n"


def markdown_text(value: object) -> str:
    """Return a value as one line of text that neither ends a table cell nor begins markup."""
    text = str(value)
    for mark in "\\|<>[]*`":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())


def known(value: Number) -> bool:
    """Return whether there is a number to show."""
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


def words(name: object) -> str:
    """Return a name in code as words."""
    return str(name).replace("_", " ")
