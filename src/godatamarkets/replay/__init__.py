"""Days of operation with the simulated retailer, and their result."""
