"""Map a shop's own files to the contract tables: the example of bring-real-data.md.

    python docs/how-to/uk_gift_retailer.py FOLDER

reads invoice lines, trading days and observed weather from $SALESCAST_REAL_DATA (default:
../shared/real), and writes FOLDER/inbox/*.csv and FOLDER/config.toml. Nothing else is touched.
"""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]

STORE, LOCATION = "uk_web", "london"
WHOLESALE_UNITS = 24  # an invoice line above two cartons is agreed beforehand, not forecast
WEB_MARKUP = 1.25  # the web shop's gross prices stand beside trade prices on the same day

# No costs are published. Assumed: half the price is cost, a customer sent away costs a tenth of
# it, and holding is set so that the critical ratio is 0.85, that of the simulated retailer.
COST_SHARE, GOODWILL_SHARE, CRITICAL_RATIO = 0.5, 0.1, 0.85

# Where this workspace differs from config.toml; everything else is taken as it stands there.
CHANGES = {
    "product.retailer": '"UK gift retailer"',
    "product.currency": '"GBP"',
    "product.model": '"uk-gift-umbrellas"',
    "feed.kind": '"files"',
    "features.origin_every_days": "2",
    "backtest.cutoffs": "20",
    "backtest.refit_every": "4",
}


def read_lines(folder: Path) -> pd.DataFrame:
    """Return the invoice lines we forecast: paid for, retail, one item id an article."""
    lines = pd.read_csv(
        folder / "invoice_lines.csv",
        dtype={"stock_code": "str", "invoice_no": "str"},
        parse_dates=["invoice_date"],
    )
    lines["item_id"] = lines["stock_code"].str.strip().str.upper()
    free, wholesale = lines["unit_price"] <= 0, lines["quantity"] > WHOLESALE_UNITS
    units = lines.loc[wholesale, "quantity"].sum()
    say(f"{len(lines):,} invoice lines; left out: {free.sum()} free, {wholesale.sum()} wholesale")
    say(f"(above {WHOLESALE_UNITS} units a line; {units / lines['quantity'].sum():.0%} of units)")
    return lines[~free & ~wholesale].rename(columns={"invoice_date": "date", "quantity": "units"})


def stores() -> pd.DataFrame:
    """Return the one shop; its weather is London's."""
    place = {"latitude": 51.5, "longitude": -0.12, "timezone": "Europe/London", "country": "GB"}
    return pd.DataFrame([{"store_id": STORE, "location_id": LOCATION, **place}])


def items(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the articles; of several descriptions the commonest names the article."""
    by_item = lines.groupby("item_id")
    price = by_item["unit_price"].median()
    names = by_item["description"].agg(lambda said: said.str.strip().mode().iloc[0])
    underage = price * (1 - COST_SHARE + GOODWILL_SHARE)
    table = pd.DataFrame(
        {
            "name": names.str.capitalize(),
            "unit_price": price,
            "unit_cost": COST_SHARE * price,
            "holding_cost_per_day": underage * (1 - CRITICAL_RATIO) / CRITICAL_RATIO,
            "goodwill_cost": GOODWILL_SHARE * price,
            "pack_size": 1,
        }
    )
    return table.round(4).reset_index()


def sales(lines: pd.DataFrame, open_days: pd.DatetimeIndex) -> pd.DataFrame:
    """Return units and price of each article and open day since its first sale, zeros included.

    A day without a row is a day the shop was closed; a zero is a day nobody bought.
    """
    first = lines.groupby("item_id")["date"].min()
    grid = pd.MultiIndex.from_product([first.index, open_days], names=["item_id", "date"])
    units = lines.groupby(["item_id", "date"])["units"].sum().reindex(grid, fill_value=0)
    table = pd.DataFrame({"units": units, "price": prices(lines).reindex(grid)}).reset_index()
    # Unsold days carry the last price; before the first known one, the list price.
    usual = table["item_id"].map(lines.groupby("item_id")["unit_price"].median())
    table["price"] = table.groupby("item_id")["price"].ffill().fillna(usual).round(4)
    known = table["date"] >= table["item_id"].map(first)
    return table[known].assign(store_id=STORE, promo=False)


def prices(lines: pd.DataFrame) -> pd.Series:
    """Return the median trade price of each article and day with sales."""
    usual = lines.groupby("item_id")["unit_price"].transform("median")
    trade = lines[lines["unit_price"] <= WEB_MARKUP * usual]
    return trade.groupby(["item_id", "date"])["unit_price"].median()


def weather_observed(folder: Path) -> pd.DataFrame:
    """Return London's daily rain and temperature; a missing mean is that of the extremes."""
    seen = pd.read_csv(folder / "london_weather_observed.csv")
    temp = seen["mean_temp"].fillna((seen["max_temp"] + seen["min_temp"]) / 2)
    columns = {"date": seen["date"], "precip_mm": seen["precipitation"], "temp_c": temp.round(1)}
    return pd.DataFrame({"location_id": LOCATION} | columns)


def config(text: str) -> str:
    """Return config.toml with CHANGES made; raise KeyError for a key it does not have."""
    missing, section, lines = dict(CHANGES), "", []
    for line in text.splitlines():
        if heading := re.match(r"\[(.+)\]", line):
            section = heading[1]
        name = re.match(r"\w*", line)
        value = missing.pop(f"{section}.{name[0]}", None) if name and name[0] else None
        lines.append(f"{name[0]} = {value}" if name and value else line)
    if missing:
        raise KeyError(f"config.toml has no {', '.join(missing)}")
    return "\n".join(lines) + "\n"


def main(target: Path) -> None:
    """Write the contract tables and the configuration into `target`."""
    real = Path(os.environ.get("SALESCAST_REAL_DATA", ROOT / "../shared/real"))
    source = real / "uk_gift_retailer"
    lines = read_lines(source)
    days = pd.read_csv(source / "trading_days.csv", parse_dates=["date"])
    tables = {
        "stores": stores(),
        "items": items(lines),
        "sales": sales(lines, pd.DatetimeIndex(days.loc[days["open"], "date"])),
        "weather_observed": weather_observed(source),
    }
    (target / "inbox").mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_csv(target / "inbox" / f"{name}.csv", index=False)
        say(f"{name}: {len(table):,} rows")
    text = (ROOT / "config.toml").read_text(encoding="utf-8")
    (target / "config.toml").write_text(config(text), encoding="utf-8")
    zeros = np.mean(tables["sales"]["units"] == 0)
    say(f"{zeros:.0%} of sales rows are zeros; no plan, no stock, no issued forecasts")


def say(words: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{words}\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python docs/how-to/uk_gift_retailer.py FOLDER")
    main(Path(sys.argv[1]))
