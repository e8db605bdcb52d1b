"""The leak demo: what scoring with observed weather claims, and what it costs to believe it.

One model, one small world, and four ways to let weather into its backtest: `make leak-demo`.
"""

import sys

import pandas as pd

from bench import candidates
from bench.retail import (
    ORACLE,
    Figure,
    World,
    against_oracle,
    blind,
    judged,
    predicted,
    publish,
    world,
)

SIZE, SEED, KIND = "small", 7, "integrated"
CLAIM, HONEST = "scored with the weather that came", "trained and served as issued"
NAIVE, BLIND = "trained on what came, served issues", "told no weather"


def measured(seen: World) -> pd.DataFrame:
    """Return the scores of the model fed in each of the ways, and of the oracle."""
    ways = [
        candidates.weather_twin(seen, KIND, CLAIM, "as it came"),
        predicted(seen, KIND, HONEST),
        candidates.weather_twin(seen, KIND, NAIVE),
        predicted(blind(seen), KIND, BLIND),
    ]
    rows = pd.concat(ways, ignore_index=True)
    return against_oracle(judged(seen, rows), seen.recipe.quantiles)


def main() -> int:
    """Measure, publish, and say it in a sentence."""
    table = measured(world(SIZE, SEED))
    figures = [
        Figure(f"{way}: {score}", table.loc[way, column], unit)
        for score, column, unit in (
            ("RMSE", "rmse", "÷ oracle"),
            ("bias", "bias", "share"),
            ("cost a day", "money", "USD/series"),
        )
        for way in (CLAIM, HONEST, NAIVE, BLIND, ORACLE)
    ]
    kept = publish("leak", figures)
    claim, honest, naive, without = (table.loc[w, "rmse"] for w in (CLAIM, HONEST, NAIVE, BLIND))
    print(
        f"\nA backtest with the weather that came claims {claim:.2f} of the best possible error: "
        f"better than possible.\nServed forecasts as if they were observations, the same model has "
        f"{naive:.2f}; it would do {'better' if without < naive else 'worse'} with no weather at "
        f"all ({without:.2f}).\nTold how far each lead can be trusted, it has {honest:.3f}."
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
