"""When, in what order, and with which retries the stages run.

Each flow is a plain function of `run`, which runs one stage by name. `engine.inline` runs it as
a function call, `on_prefect` as a task: the order is written once and both do the same.
"""
