"""Live scores, sequential tests, alarms, and when to train again."""
