"""GoDataMarkets, a simulated umbrella retailer whose best possible forecast is known."""
