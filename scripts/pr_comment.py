"""The report on a pull request: a file of numbers, and the comment that is written from it.

The file comes from a job that ran the pull request's code. It may hold numbers, true or false and
the commit, so that no name or sentence of that code reaches the comment.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from salescast.errors import DataQualityError

MARK = "<!-- salescast pr-report -->"
LARGEST = 100_000  # bytes of a report

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]
Count = Annotated[int, Field(ge=0, le=100_000)]
Kind = Literal["by_lead", "by_store", "by_item", "by_season", "by_rain"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Scores(_Strict):
    """Cost a year, errors, and the seconds that the backtest took, of one commit."""

    cost_per_year: Number
    wape: Number
    bias: Number
    coverage_80: Number
    seconds: Number


class Segments(_Strict):
    """How many segments of one kind cost less or more, and the extremes, in money a year."""

    cheaper: Count
    dearer: Count
    largest_saving: Number
    largest_increase: Number


class Operations(_Strict):
    """How many operations and schemas of the API differ."""

    added: Count
    removed: Count
    changed: Count


class Report(_Strict):
    """A comparison on common origins. `change`: mean, 5 % and 95 % of the bootstrap, a year."""

    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    origins: Annotated[int, Field(ge=1, le=10_000)]
    base: Scores
    head: Scores
    change: tuple[Number, Number, Number]
    same_data: bool
    api: Operations
    segments: dict[Kind, Segments]

    @property
    def conclusion(self) -> str:
        """Return in words on which side of zero the interval lies."""
        _, low, high = self.change
        if low == high == 0:
            return "the forecasts are the same"
        if high < 0:
            return "significantly cheaper"
        return "significantly dearer" if low > 0 else "no significant difference"


def read_report(path: Path, commit: str) -> Report:
    """Return the report on `commit`.

    Raises DataQualityError for another commit and for any other content, which is not quoted.
    """
    if path.is_symlink() or path.stat().st_size > LARGEST:
        raise DataQualityError(f"{path.name} is a link or too large for a report")
    try:
        report = Report.model_validate_json(path.read_bytes(), strict=True)
    except ValidationError as error:
        reason = f"{error.error_count()} fields are not those of a report"
        raise DataQualityError(f"{path.name}: {reason}") from None
    if report.commit != commit:
        raise DataQualityError(f"{path.name} is about another commit than {commit[:10]}")
    return report


def render(report: Report, currency: str) -> str:
    """Return the comment: the change in money, then the scores and the segments."""
    mean, low, high = report.change
    interval = f"{mean:+,.0f} {currency} a year [{low:+,.0f}, {high:+,.0f}]"
    data = "the same" if report.same_data else "other"
    note = f"Negative is cheaper; {report.origins} common origins; {data} data."
    base, head, api = report.base, report.head, report.api
    rows = [
        ("", "base", f"head `{report.commit[:10]}`"),
        ("---", "---:", "---:"),
        (f"{currency} a year", f"{base.cost_per_year:,.0f}", f"{head.cost_per_year:,.0f}"),
        ("WAPE", f"{base.wape:.3f}", f"{head.wape:.3f}"),
        ("bias", f"{base.bias:+.1%}", f"{head.bias:+.1%}"),
        ("in p10…p90", f"{base.coverage_80:.1%}", f"{head.coverage_80:.1%}"),
        ("seconds (noisy)", f"{base.seconds:.0f}", f"{head.seconds:.0f}"),
    ]
    lines = [
        MARK,
        f"**This change: {interval}: {report.conclusion}.** {note}",
        "",
        *map(_row, rows),
        "",
        f"API: {api.added} added, {api.removed} removed, {api.changed} changed.",
    ]
    return "\n".join([*lines, *_segments(report, currency), ""])


def _segments(report: Report, currency: str) -> list[str]:
    if not report.segments:
        return []
    rows = [
        (
            kind.removeprefix("by_"),
            f"{of.cheaper}",
            f"{of.dearer}",
            f"{of.largest_saving:+,.0f}",
            f"{of.largest_increase:+,.0f}",
        )
        for kind, of in report.segments.items()
    ]
    head = (
        "segment",
        "cheaper",
        "dearer",
        f"largest saving, {currency} a year",
        "largest increase",
    )
    return ["", _row(head), _row(("---", *["---:"] * 4)), *map(_row, rows)]


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
