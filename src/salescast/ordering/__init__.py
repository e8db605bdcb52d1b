"""From a predictive distribution to orders: economics, sample paths, inventory simulation."""
