"""The point-in-time table: calendar, price, history and drivers, as known at an origin."""
