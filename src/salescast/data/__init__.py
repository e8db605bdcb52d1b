"""Feeds that fill the tables, the store that keeps and versions them, as-of reads."""
