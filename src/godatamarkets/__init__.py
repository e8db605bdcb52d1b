"""GoDataMarkets, a simulated umbrella retailer whose best possible forecast is known."""

from godatamarkets.catalogue import EMBEDDED_END, START
from godatamarkets.retailer import Retailer

__all__ = ["EMBEDDED_END", "START", "Retailer"]
