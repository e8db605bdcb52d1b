"""Estimators that return a predictive distribution of demand, and what explains them."""
