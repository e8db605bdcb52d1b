"""What ways of ordering cost the chain a year, on shelves simulated day by day.

All meet the true demand of 52 weeks from the same first stock. Models are trained as served: on
what the status-quo planner's shelves let the shops sell, anew every quarter.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from bench.retail import CONFIG, SEEDS, SERIES, Figure, publish
from godatamarkets import Retailer, oracle
from godatamarkets.catalogue import EMBEDDED_END, START
from salescast.contract import schema
from salescast.contract.conform import conform
from salescast.features import point_in_time
from salescast.models import forecaster, make
from salescast.models import response as demand
from salescast.ordering import inventory, orders, sample_paths
from salescast.ordering.inventory import Policy, cycle_costs, simulate
from salescast.ordering.orders import Cycle, Values
from salescast.settings import read_settings
from salescast.stages.feature_table import origins

WEEKS, REFIT_WEEKS = 52, 13
LEARN_FROM = 40  # training origins whose residuals tell how days depend on each other
WEEKLY = Cycle(7, 2)
REGIMES: Mapping[str, Cycle] = {
    "weekly": WEEKLY,
    "weekly, leftover charged": Cycle(7, 2, "cycle_end"),
    "daily": Cycle(1, 2),
}
KINDS = {
    "ours": ("issued", "integrated"),
    "blind": ("none", "integrated"),
    "seasonal naive": ("issued", "seasonal_naive"),
    "8-week mean": ("issued", "weekday_mean"),
}
PLANNER, ORACLE, CLAIRVOYANT = "status quo", "oracle", "knows demand"
BARS = {("ours", ORACLE): "≤ 1.08", ("ours", "blind"): "≤ 0.75"}


class Chain:
    """A simulated retailer of one seed, and sample paths of each forecaster at each origin."""

    def __init__(self, size: Any, seed: int) -> None:
        """Simulate three years; the last year's Mondays and days in between are tested."""
        self.retailer = Retailer(size, seed)
        delivered = self.retailer.deliver(START, EMBEDDED_END)
        self.tables = {name: conform(name, rows) for name, rows in delivered.items()}
        self.first = EMBEDDED_END - pd.Timedelta(days=7 * WEEKS + 6)  # a Monday
        names = pd.DataFrame(self.retailer.series.names, columns=SERIES)
        costs = orders.unit_costs(schema.latest("items", self.tables["items"]))
        self.series = names.merge(costs, on="item_id", how="left")
        self.day = self.retailer.reach(self.first)

    @property
    def demand(self) -> Values:
        """True demand of the tested days, (series, days)."""
        last = self.day + WEEKS * 7 + WEEKLY.delivery_days
        return self.retailer.demand.units[:, self.day + 1 : last].astype(float)

    @property
    def first_stock(self) -> Values:
        """Units on the shelves at the last close before the first review that traded."""
        stock = schema.latest("stock", self.tables["stock"])
        before = stock[stock["date"] <= self.first].drop_duplicates(SERIES, keep="last")
        return self.series.merge(before, on=SERIES, how="left")["on_hand"].to_numpy(float)

    def days(self, every: int) -> list[pd.Timestamp]:
        """Return the origins at whose close orders are placed."""
        return [self.first + pd.Timedelta(days=n) for n in range(0, 7 * WEEKS, every)]


Trained = dict[tuple[str, int], tuple[forecaster.Forecaster, sample_paths.Dependence]]


def trained(chain: Chain) -> Trained:
    """Return each kind's model and how its days depend, per quarter."""
    settings, found = read_settings(CONFIG), {}
    learnt, _ = origins(settings, chain.tables)
    rows = {s: point_in_time.build(chain.tables, learnt, 14, s) for s in ("issued", "none")}
    for quarter in range(WEEKS // REFIT_WEEKS):
        cutoff = chain.first + pd.Timedelta(days=7 * REFIT_WEEKS * quarter)
        happened = point_in_time.past(chain.tables, cutoff)
        truth = demand.uncensor(happened)
        for name, (source, kind) in KINDS.items():
            known = rows[source][rows[source]["origin"] < cutoff]
            fitted = make(kind, {}, settings.model.seed).fit(known, happened)
            recent = known[known["origin"].isin(known["origin"].unique()[-LEARN_FROM:])]
            mixture = fitted.predict_distribution(recent)
            dependence = sample_paths.learn(recent, (mixture.mean, mixture.variance), truth)
            found[name, quarter] = fitted, dependence
    return found


def forecast(chain: Chain, models: Trained, name: str, cycle: Cycle) -> Iterator[Values]:
    """Yield sample paths (series, paths, leads) at each review."""
    source = KINDS[name][0]
    rows = point_in_time.build(chain.tables, chain.days(cycle.review_days), cycle.interval, source)
    for number, (_, served) in enumerate(rows.groupby("origin")):
        quarter = number * cycle.review_days // (7 * REFIT_WEEKS)
        fitted, dependence = models[name, quarter]
        drawn = sample_paths.sample(served, fitted.predict_distribution(served), dependence)
        here = pd.MultiIndex.from_frame(served[SERIES].iloc[:: cycle.interval])
        yield drawn[here.get_indexer(pd.MultiIndex.from_frame(chain.series[SERIES]))]


def best(chain: Chain, cycle: Cycle) -> Iterator[Values]:
    """Yield the oracle's sample paths at each review."""
    for origin in chain.days(cycle.review_days):
        drawn = oracle.sample_paths(chain.retailer, origin, sample_paths.PATHS, cycle.interval)
        yield drawn.transpose(1, 0, 2).astype(float)


def true_path(chain: Chain, cycle: Cycle) -> Iterator[Values]:
    """Yield the one path that came true."""
    units = chain.retailer.demand.units.astype(float)
    for origin in chain.days(cycle.review_days):
        at = chain.retailer.reach(origin) + 1
        yield units[:, None, at : at + cycle.interval]


def ordering(chain: Chain, drawn: Iterator[Values], cycle: Cycle) -> Policy:
    """Return the policy that orders by the product's rule from sample paths, review by review."""

    def order(_review: int, stock: Values) -> Values:
        position = chain.series.assign(on_hand=stock, on_order=0.0)
        return orders.propose(next(drawn), position, cycle).orders["order"].to_numpy(float)

    return order


def planning(chain: Chain) -> Policy:
    """Return the status-quo planner, who counts customers sent away."""
    units = chain.retailer.demand
    demand = np.where(units.trading, units.units, np.nan)
    pack = chain.series["pack_size"].to_numpy()

    def order(review: int, stock: Values) -> Values:
        upto = chain.day + 7 * review + 1
        return orders.planner(demand[:, :upto], stock, pack).astype(float)

    return order


def measured(chain: Chain, models: Trained, cycle: Cycle) -> pd.DataFrame:
    """Return weekly cost (columns w0 …) and `fill_rate` per policy, on the same accounts."""
    drawn = {name: forecast(chain, models, name, cycle) for name in KINDS}
    drawn |= {ORACLE: best(chain, cycle), CLAIRVOYANT: true_path(chain, cycle)}
    policies = {name: (ordering(chain, d, cycle), cycle) for name, d in drawn.items()}
    policies[PLANNER] = planning(chain), WEEKLY
    accounts = Cycle(7, 2, cycle.held)  # by weeks, however often orders are placed
    cost = [chain.series[c].to_numpy(float) for c in ("underage", "overage")]
    table = {}
    for name, (policy, every) in policies.items():
        shelves = simulate(chain.demand, chain.first_stock, every, policy)
        weekly = cycle_costs(shelves, cost[0], cost[1], accounts)
        fill = shelves.sold.sum() / chain.demand.sum()
        table[name] = {"fill_rate": fill} | {f"w{n}": c for n, c in enumerate(weekly)}
    return pd.DataFrame(table).T


def figures(regime: str, tables: Sequence[pd.DataFrame]) -> list[Figure]:
    """Return dollars a year, fill rates and ratios of the mean over seeds."""
    accounts = Cycle(7, 2, REGIMES[regime].held)
    weeks = [column for column in tables[0] if column.startswith("w")]
    cost = {n: np.concatenate([t.loc[n, weeks] for t in tables]) for n in tables[0].index}
    found = []
    for name, weekly in cost.items():
        a_year = inventory.per_year(weekly, accounts, seed=1)
        fill = float(np.mean([t.loc[name, "fill_rate"] for t in tables]))
        found += [
            Figure(f"{regime}: {name}, cost", a_year["cost_per_year"], "USD/year"),
            Figure(f"{regime}: {name}, 80 % from", a_year["low"], "USD/year"),
            Figure(f"{regime}: {name}, 80 % to", a_year["high"], "USD/year"),
            Figure(f"{regime}: {name}, fill rate", fill, "share"),
        ]
    for name, against in [*BARS, ("ours", PLANNER), (CLAIRVOYANT, "blind"), (ORACLE, "blind")]:
        each = [t.loc[name, weeks].sum() / t.loc[against, weeks].sum() for t in tables]
        bar = BARS.get((name, against), "")
        found.append(Figure(f"{regime}: {name} ÷ {against}", float(np.mean(each)), "ratio", bar))
    return found


def dependence(chain: Chain, models: Trained) -> dict[str, float]:
    """Return the variance of the interval's total demand, ÷ what independent days would have."""
    drawn = {"ours": forecast(chain, models, "ours", WEEKLY), ORACLE: best(chain, WEEKLY)}
    found = {}
    for name, each in drawn.items():
        both = [(p.sum(axis=2).var(axis=1).mean(), p.var(axis=1).sum(axis=1).mean()) for p in each]
        together, apart = np.mean(both, axis=0)
        found[name] = float(together / apart)
    return found


def main() -> int:
    """Measure each seed, publish, and say whether the bars hold."""
    tables: dict[str, list[pd.DataFrame]] = {regime: [] for regime in REGIMES}
    spread = []
    for seed in SEEDS:
        print(f"seed {seed} …", file=sys.stderr, flush=True)
        chain = Chain("demo", seed)
        models = trained(chain)
        for regime, cycle in REGIMES.items():
            tables[regime].append(measured(chain, models, cycle))
        spread.append(dependence(chain, models))
    found = [f for regime, each in tables.items() for f in figures(regime, each)]
    found += [
        Figure(f"variance of totals ÷ of independent days: {name}", float(np.mean(values)))
        for name, values in pd.DataFrame(spread).items()
    ]
    return 0 if publish("inventory", found) else 1


if __name__ == "__main__":
    sys.exit(main())
