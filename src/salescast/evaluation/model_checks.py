"""Checks of the model that would serve: future, skew, refit, freshness, size and speed."""

from salescast.evaluation.decision import Check, Measured, Policy, check


def model_checks(measured: Measured, policy: Policy) -> list[Check]:
    """Return the checks that do not depend on cost."""
    return [
        _none(
            "future_poison",
            measured.poisoned,
            "change when everything known after the origin is garbage",
            "a feature reads the future",
        ),
        _none(
            "serving_skew",
            measured.skewed,
            "differ between the registry's copy on the tables and the batch",
            "the served model is not the judged one",
        ),
        _refit(measured, policy),
        _fresh(measured, policy),
        _size(measured, policy),
        _speed(measured, policy),
    ]


def _none(name: str, share: float, problem: str, fix: str) -> Check:
    return check(name, (share, "= 0"), f"{share:.1%} of sampled rows {problem}", share == 0, fix)


def _refit(measured: Measured, policy: Policy) -> Check:
    summary = (
        f"the released model is the judged recipe, fitted again on all data until "
        f"{measured.trained_until}; its means differ by {measured.refit:.1%} from the judged fit's"
    )
    passed, fix = measured.refit <= policy.max_refit_change, "look at the newest data"
    answer = measured.refit, f"<= {policy.max_refit_change}"
    return check("refit_agrees", answer, summary, passed, fix)


def _fresh(measured: Measured, policy: Policy) -> Check:
    summary = f"it is trained until {measured.trained_until}, {measured.stale_days:.0f} days ago"
    passed = measured.stale_days <= policy.max_stale_days
    answer = measured.stale_days, f"<= {policy.max_stale_days} days"
    return check("freshness", answer, summary, passed, "train again")


def _size(measured: Measured, policy: Policy) -> Check:
    summary = f"the model is a file of {measured.model_mb:.3f} MB"
    passed = measured.model_mb <= policy.max_model_mb
    answer = measured.model_mb, f"<= {policy.max_model_mb} MB"
    return check("size", answer, summary, passed, "make it smaller or raise gate.max_model_mb")


def _speed(measured: Measured, policy: Policy) -> Check:
    """Require a minimum speed; a pass records no number, so that decisions are repeatable."""
    least = policy.min_rows_per_second
    passed = measured.rows_per_second >= least
    value: float | str = "fast enough" if passed else measured.rows_per_second
    speed = f"{least:,.0f} rows a second or more"
    if not passed:
        speed = f"only {measured.rows_per_second:,.0f} rows a second"
    summary = f"one series at a time, it forecasts {speed}"
    return check("speed", (value, f">= {least} rows/s"), summary, passed, "make it faster")
