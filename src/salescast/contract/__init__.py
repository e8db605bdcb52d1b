"""The contract: what a row of each table means, and when it was known."""
