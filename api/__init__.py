"""The champion's forecasts over HTTP."""
