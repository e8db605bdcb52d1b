"""Checks of the model that would serve: no future, no skew, a faithful refit, fresh and light."""

from salescast.evaluation.decision import Check, Measured, Policy, check


def itself(measured: Measured, policy: Policy) -> list[Check]:
    """Return what the model that would serve must show, whatever it costs."""
    return [
        _none(
            "future_poison",
            measured.poisoned,
            "change when what became known after the origin is garbage",
            "a feature reads the future",
        ),
        _none(
            "serving_skew",
            measured.skewed,
            "differ between the registry's copy on the tables and the batch",
            "what is served is not what was judged",
        ),
        _refit(measured, policy),
        _fresh(measured, policy),
        _size(measured, policy),
        _speed(measured, policy),
    ]


def _none(name: str, share: float, what: str, fix: str) -> Check:
    return check(name, (share, "= 0"), f"{share:.1%} of sampled rows {what}", share == 0, fix)


def _refit(measured: Measured, policy: Policy) -> Check:
    said = (
        f"what is released is the judged recipe, fitted anew on everything until "
        f"{measured.trained_until}; its means differ by {measured.refit:.1%} from the judged fit's"
    )
    passed, fix = measured.refit <= policy.max_refit_change, "look at the newest data"
    answer = measured.refit, f"<= {policy.max_refit_change}"
    return check("refit_agrees", answer, said, passed, fix)


def _fresh(measured: Measured, policy: Policy) -> Check:
    said = f"it has learned until {measured.trained_until}, {measured.stale_days:.0f} days ago"
    passed = measured.stale_days <= policy.max_stale_days
    answer = measured.stale_days, f"<= {policy.max_stale_days} days"
    return check("freshness", answer, said, passed, "train again")


def _size(measured: Measured, policy: Policy) -> Check:
    said = f"the model is a file of {measured.model_mb:.3f} MB"
    passed = measured.model_mb <= policy.max_model_mb
    answer = measured.model_mb, f"<= {policy.max_model_mb} MB"
    return check("size", answer, said, passed, "make it smaller or raise gate.max_model_mb")


def _speed(measured: Measured, policy: Policy) -> Check:
    """Ask for a generous speed; what passes names none, so that decisions are repeatable."""
    least = policy.min_rows_per_second
    passed = measured.rows_per_second >= least
    value: float | str = "fast enough" if passed else measured.rows_per_second
    said = "it forecasts a series at a time " + (
        f"at {least:,.0f} rows a second or more"
        if passed
        else f"at {measured.rows_per_second:,.0f} rows a second only"
    )
    return check("speed", (value, f">= {least} rows/s"), said, passed, "make it faster")
