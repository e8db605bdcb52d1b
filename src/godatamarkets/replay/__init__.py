"""Days of operation with the simulated retailer, and what they came to."""
