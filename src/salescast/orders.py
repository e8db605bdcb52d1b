"""What a forecast is worth: underage, overage and the critical ratio of the newsvendor.

Arrow, Harris & Marschak (1951): stock the quantile at underage ÷ (underage + overage).
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from salescast.errors import DataQualityError

Values = NDArray[np.float64]


def unit_costs(items: pd.DataFrame) -> pd.DataFrame:
    """Return per item_id what one unit too few or too many costs, and the critical ratio.

    Columns: item_id, underage (margin + goodwill), overage (holding, one day), critical_ratio.
    Raises DataQualityError where an item cannot be priced (no margin, free holding).
    """
    underage = items["unit_price"] - items["unit_cost"] + items["goodwill_cost"]
    overage = items["holding_cost_per_day"]
    bad = items.loc[(underage <= 0) | (overage <= 0), "item_id"]
    if len(bad):
        raise DataQualityError(
            f"table items: {', '.join(bad)}: price − cost + goodwill and holding cost must be "
            "positive, or no order is worth placing; correct the costs"
        )
    return pd.DataFrame(
        {
            "item_id": items["item_id"],
            "underage": underage,
            "overage": overage,
            "critical_ratio": underage / (underage + overage),
        }
    )


def newsvendor_cost(demand: Values, stock: Values, underage: Values, overage: Values) -> Values:
    """Return the money lost per row by stocking `stock` (units) for one day of `demand`."""
    short = np.maximum(demand - stock, 0.0)
    left = np.maximum(stock - demand, 0.0)
    result: Values = underage * short + overage * left
    return result
