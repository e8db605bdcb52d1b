"""Sales forecasts from weather forecasts as issued, from raw data to orders."""
