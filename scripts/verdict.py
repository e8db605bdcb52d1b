"""The report on a pull request as data that can hold nothing else, and as the comment."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from salescast.errors import DataQualityError

MARK = "<!-- salescast pr-report -->"
MOST = 12  # segments a person reads
LARGEST = 1_000_000  # bytes of a report

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e12, le=1e12)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _./{}+-]{1,80}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{7,40}(\.dir)?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Scores(_Strict):
    """One side: money a year, errors, and the seconds its examination took."""

    commit: Digest
    data: Digest
    cost_per_year: Number
    wape: Number
    bias: Number
    coverage_80: Number
    seconds: Number


class Segment(_Strict):
    """Money a year that the change costs in one segment; negative saves."""

    kind: Name
    name: Name
    before: Number
    after: Number


class Report(_Strict):
    """A comparison on common origins. `change`: mean, 5 % and 95 % of the bootstrap, a year."""

    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    origins: Annotated[int, Field(ge=1, le=10_000)]
    base: Scores
    head: Scores
    change: list[Number] = Field(min_length=3, max_length=3)
    added: list[Name] = Field(max_length=50)
    removed: list[Name] = Field(max_length=50)
    changed: list[Name] = Field(max_length=50)
    segments: list[Segment] = Field(max_length=MOST)

    @property
    def verdict(self) -> str:
        """Say in words what the interval says."""
        _, low, high = self.change
        if low == high == 0:
            return "the forecasts are the same"
        if high < 0:
            return "cheaper, surely"
        return "dearer, surely" if low > 0 else "no sure difference"


def read_report(path: Path) -> Report:
    """Return a report that holds nothing but what a report holds.

    Raises DataQualityError for anything else; what was refused is not repeated.
    """
    if path.is_symlink() or path.stat().st_size > LARGEST:
        raise DataQualityError(f"{path.name} is no report: a link, or too large")
    try:
        return Report.model_validate_json(path.read_bytes())
    except ValidationError as error:
        count = f"{error.error_count()} fields are not what a report holds"
        raise DataQualityError(f"{path.name}: {count}") from None


def render(report: Report) -> str:
    """Return the comment: the sentence, then the tables."""
    mean, low, high = report.change
    interval = f"{mean:+,.0f} {report.currency} a year [{low:+,.0f}, {high:+,.0f}]"
    note = f"Negative is cheaper; {report.origins} common origins."
    lines = [MARK, f"**This change: {interval}: {report.verdict}.** {note}", ""]
    lines += [*_sides(report), "", f"API contract: {_changes(report)}."]
    return "\n".join([*lines, *_moved(report), ""])


def _sides(report: Report) -> list[str]:
    base, head = report.base, report.head
    rows = [
        ("", f"base `{base.commit[:10]}`", f"head `{head.commit[:10]}`"),
        ("---", "---:", "---:"),
        (f"{report.currency} a year", f"{base.cost_per_year:,.0f}", f"{head.cost_per_year:,.0f}"),
        ("WAPE", f"{base.wape:.3f}", f"{head.wape:.3f}"),
        ("bias", f"{base.bias:+.1%}", f"{head.bias:+.1%}"),
        ("in p10…p90", f"{base.coverage_80:.1%}", f"{head.coverage_80:.1%}"),
        ("seconds to examine (noisy)", f"{base.seconds:.0f}", f"{head.seconds:.0f}"),
        ("data version", f"`{base.data[:10]}`", _data(report)),
    ]
    return [f"| {' | '.join(row)} |" for row in rows]


def _data(report: Report) -> str:
    same = report.base.data == report.head.data
    return "unchanged" if same else f"`{report.head.data[:10]}`"


def _moved(report: Report) -> list[str]:
    moved = [s for s in report.segments if round(s.after) != round(s.before)]
    head = f"| segment | {report.currency} a year before | after | change |"
    rows = [
        f"| {s.kind.removeprefix('by_')} `{s.name}` | {s.before:,.0f} | {s.after:,.0f} "
        f"| {s.after - s.before:+,.0f} |"
        for s in moved
    ]
    return ["", head, "|---|---:|---:|---:|", *rows] if rows else []


def _changes(report: Report) -> str:
    parts = [
        f"{word} {', '.join(f'`{name}`' for name in names)}"
        for word in ("added", "removed", "changed")
        if (names := getattr(report, word))
    ]
    return "; ".join(parts) or "unchanged"
