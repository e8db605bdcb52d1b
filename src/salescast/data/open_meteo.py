"""Weather from Open-Meteo: observed from its archive, as issued from its previous-runs API.

Its "historical forecast" API is never used: that splices the first hours of each model run and
is far better than any forecast one could have had the day before. Two conventions:

- The archive of a day is complete two days later: `recorded_at` = date + 2 days, 12:00.
- `…_previous_dayN` is what was predicted 24·N hours before each hour, so the day as a whole was
  known late on date − N: `issued_at` = date − N days, 23:00 there. N = 1…7, from 2024 on.

Days are the place's own, by `stores.timezone`.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

import httpx
import numpy as np
import pandas as pd
import stamina

from salescast.contract.conform import conform
from salescast.contract.schema import TABLES, empty, latest
from salescast.errors import DataQualityError, FeedUnavailableError

LEADS = range(1, 8)
ARCHIVE_DELAY = pd.Timedelta(days=2, hours=12)
ISSUE_HOUR = pd.Timedelta(hours=23)
FIRST_RUN = pd.Timestamp("2024-01-01")  # most models are archived from here on
_CHUNK = pd.Timedelta(days=364)
_LATE = pd.Timedelta(days=7)  # holes as young as this may still be filled

Ask = Callable[[str, dict[str, str], str], pd.DataFrame]
Days = tuple[pd.Timestamp, pd.Timestamp]


@dataclass(frozen=True)
class Service:
    """Where to ask, how long to wait (seconds), how often to try."""

    archive_url: str
    previous_runs_url: str
    timeout_seconds: float = 30.0
    requests_per_minute: int = 300
    attempts: int = 6
    first_wait: float = 1.0
    longest_wait: float = 90.0


def fetch(
    service: Service, stores: pd.DataFrame, since: pd.Timestamp, until: pd.Timestamp
) -> dict[str, pd.DataFrame]:
    """Return the observed and the issued weather known in [since, until) where `stores` are.

    Raises FeedUnavailableError where the service does not answer in time, DataQualityError where
    it refuses a question for good, as for impossible coordinates.
    """
    places = latest("stores", stores).drop_duplicates("location_id")
    nowhere = places.loc[places[["latitude", "longitude"]].isna().any(axis=1), "location_id"]
    if len(nowhere):
        raise DataQualityError(
            f"stores: {', '.join(nowhere)}: Open-Meteo needs latitude and longitude; add them, or "
            "deliver weather_observed yourself"
        )
    observed_days = ((since - ARCHIVE_DELAY).floor("D"), (until - ARCHIVE_DELAY).floor("D"))
    issue_days = (max(since.floor("D"), FIRST_RUN), (until - ISSUE_HOUR).floor("D"))
    with httpx.Client(timeout=service.timeout_seconds) as client:
        ask = _patient(service, client)
        observed = _everywhere(places, lambda at: _observed(ask, service, at, observed_days))
        issued = _everywhere(places, lambda at: _issued(ask, service, at, issue_days))
    observed = _hold_back(observed, len(places), until)
    return {
        table: _known_between(table, conform(table, rows, "open_meteo"), since, until)
        if len(rows)
        else empty(table)
        for table, rows in (("weather_observed", observed), ("weather_forecast", issued))
    }


def _known_between(
    table: str, rows: pd.DataFrame, since: pd.Timestamp, until: pd.Timestamp
) -> pd.DataFrame:
    moment = rows[TABLES[table].known_at]
    return rows[(moment >= since) & (moment < until)].reset_index(drop=True)


def rain_probability(precip_mm: pd.Series) -> pd.Series:
    """Return 0.05 + 0.9 · (1 − exp(−mm)): a chance of rain from a forecast amount, never certain.

    Previous runs have no probability. This one only ranks the days; the recalibration of
    `models.calibration` learns how reliable each lead time is.
    """
    return 0.05 - 0.9 * np.expm1(-precip_mm)


def _everywhere(
    places: pd.DataFrame, read: Callable[[dict[str, str]], pd.DataFrame]
) -> pd.DataFrame:
    parts = []
    for place in places.itertuples():
        at = {
            "latitude": str(place.latitude),
            "longitude": str(place.longitude),
            "timezone": place.timezone if place.timezone in available_timezones() else "GMT",
        }
        parts.append(read(at).assign(location_id=place.location_id))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _observed(ask: Ask, service: Service, at: dict[str, str], days: Days) -> pd.DataFrame:
    names = {"precipitation_sum": "precip_mm", "temperature_2m_mean": "temp_c"}
    rows = _by_year(ask, service.archive_url, at | {"daily": ",".join(names)}, days)
    rows = rows.rename(columns=names).dropna().rename_axis("date").reset_index()
    return rows.assign(recorded_at=rows["date"] + ARCHIVE_DELAY)


def _issued(ask: Ask, service: Service, at: dict[str, str], issues: Days) -> pd.DataFrame:
    names = [f"{v}_previous_day{n}" for v in ("precipitation", "temperature_2m") for n in LEADS]
    days = (issues[0] + pd.Timedelta(days=LEADS[0]), issues[1] + pd.Timedelta(days=LEADS[-1]))
    hourly = _by_year(ask, service.previous_runs_url, at | {"hourly": ",".join(names)}, days)
    leads = [_lead(hourly, lead, at["timezone"]) for lead in LEADS]
    return pd.concat(leads, ignore_index=True)


def _lead(hourly: pd.DataFrame, lead: int, zone: str) -> pd.DataFrame:
    rain, temp = f"precipitation_previous_day{lead}", f"temperature_2m_previous_day{lead}"
    by_day = hourly[[rain, temp]].dropna().groupby(lambda moment: moment.normalize())
    whole = by_day.size() >= _hours(by_day.size().index, zone)  # else it would look drier
    rows = by_day.agg({rain: "sum", temp: "mean"})[whole].round(2).rename_axis("date").reset_index()
    return pd.DataFrame(
        {
            "issued_at": _utc(rows["date"] - pd.Timedelta(days=lead) + ISSUE_HOUR, zone),
            "date": rows["date"],
            "precip_mm": rows[rain],
            "precip_probability": rain_probability(rows[rain]).round(3),
            "temp_c": rows[temp],
        }
    )


def _hours(days: pd.DatetimeIndex, zone: str) -> pd.Index:
    """Return the hours of each day, 24 or, as the clocks go forward, 23."""
    starts, ends = (
        moments.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
        for moments in (days, days + pd.Timedelta(days=1))
    )
    return np.minimum((ends - starts) / pd.Timedelta(hours=1), 24)


def _utc(local: pd.Series, zone: str) -> pd.Series:
    known = local.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
    return known.dt.tz_convert("UTC").dt.tz_localize(None)


def _hold_back(observed: pd.DataFrame, places: int, until: pd.Timestamp) -> pd.DataFrame:
    # The next call asks from the last known moment on: delivered around a young hole, its value
    # would never be asked for again.
    if observed.empty:
        return observed
    reported = observed.groupby("date").size()
    young = reported.index >= until - ARCHIVE_DELAY - _LATE
    holes = reported.index[young & (reported < places)]
    return observed[observed["date"] < holes.min()] if len(holes) else observed


def _by_year(ask: Ask, url: str, question: dict[str, str], days: Days) -> pd.DataFrame:
    section = "daily" if "daily" in question else "hourly"
    parts = [
        ask(url, question | {"start_date": start, "end_date": end}, section)
        for start, end in _chunks(*days)
    ]
    nothing = pd.DataFrame(columns=question[section].split(","), dtype="float64")
    return pd.concat(parts) if parts else nothing.set_index(pd.DatetimeIndex([]))


def _chunks(first: pd.Timestamp, last: pd.Timestamp) -> Iterator[tuple[str, str]]:
    while first <= last:
        end = min(first + _CHUNK, last)
        yield f"{first:%Y-%m-%d}", f"{end:%Y-%m-%d}"
        first = end + pd.Timedelta(days=1)


def _patient(service: Service, client: httpx.Client) -> Ask:
    pause = 60 / service.requests_per_minute
    ready = time.monotonic()

    def once(url: httpx.URL, section: str) -> pd.DataFrame:
        nonlocal ready
        time.sleep(max(0.0, ready - time.monotonic()))
        ready = time.monotonic() + pause
        response = client.get(url)
        response.raise_for_status()
        return _parse(response.json(), section, url.params[section].split(","))

    def ask(url: str, question: dict[str, str], section: str) -> pd.DataFrame:
        try:
            for attempt in stamina.retry_context(
                on=_worth_a_retry(service.longest_wait),
                attempts=service.attempts,
                timeout=None,
                wait_initial=service.first_wait,
                wait_max=service.longest_wait,
                wait_jitter=service.first_wait,
            ):
                with attempt:
                    return once(httpx.URL(url).copy_merge_params(question), section)
        except (httpx.HTTPError, ValueError) as error:
            raise _explain(url, error) from error
        raise AssertionError("stamina either returns or raises")

    return ask


def _worth_a_retry(longest_wait: float) -> Callable[[Exception], bool | float]:
    def decide(error: Exception) -> bool | float:
        if not isinstance(error, httpx.HTTPStatusError):
            return isinstance(error, (httpx.TransportError, ValueError))
        wait = error.response.headers.get("Retry-After", "")
        if error.response.status_code != 429 and error.response.status_code < 500:
            return False
        if wait.isdigit():
            return float(wait) if float(wait) <= longest_wait else False
        return True

    return decide


def _explain(url: str, error: Exception) -> DataQualityError | FeedUnavailableError:
    where = httpx.URL(url).copy_with(query=None)  # a key for the paid service stays out
    if not isinstance(error, httpx.HTTPStatusError):
        return FeedUnavailableError(f"{where}: {type(error).__name__}: {error}; try again later")
    status, body = error.response.status_code, error.response.text[:200]
    if status == 429 or status >= 500:
        return FeedUnavailableError(f"{where} answers {status}: {body}; try again later")
    return DataQualityError(f"{where} refuses with {status}: {body}; check feed.open_meteo, stores")


def _parse(answer: Any, section: str, names: list[str]) -> pd.DataFrame:
    try:
        values = answer[section]
        times = pd.to_datetime(values["time"], format="ISO8601")
        return pd.DataFrame({n: values[n] for n in names}, index=times, dtype="float64")
    except (KeyError, TypeError) as error:
        raise ValueError(f"the answer lacks {error}") from error
