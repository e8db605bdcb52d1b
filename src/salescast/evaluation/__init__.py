"""Metrics, the rolling-origin backtest, and the decision of the gate."""
