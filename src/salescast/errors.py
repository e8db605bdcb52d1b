"""What can go wrong, as a family.

    SalescastError
    ├── ConfigError              config.toml or the environment is wrong
    ├── DataQualityError         delivered or stored data break the contract
    ├── NotEnoughHistoryError    too few days to train, backtest or forecast
    ├── UnknownSeriesError       an unknown store or item
    ├── UnknownReceiptError      a receipt that no forecast carries
    ├── UnknownAlarmError        an alarm id that the ledger does not hold
    ├── ReceiptNotRebuilt        the forecast of a receipt cannot be made again
    ├── UnknownOrderError        an order that was never proposed
    ├── OrderConflict            another decision about the order was faster, or it was replaced
    ├── OrderRefused             an order cannot be changed in this way now
    ├── NoChampionError          no model has been promoted yet
    ├── GateRefused              the challenger must not be promoted (exit code 3)
    ├── PromotionConflict        another promotion came first
    ├── ProbeFailed              the service did not answer as the new release does (exit code 3)
    ├── FeedUnavailableError     a source of data does not answer: worth a retry
    └── StoreUnavailableError    registry, ledger, disk or remote does not answer: worth a retry

Each is raised where it is discovered, with the values and the fix in its message. They are
caught in two places: the API's table of problems and the command line.
"""


class SalescastError(Exception):
    """Base of the family. `exit_code` is what the command line ends with."""

    exit_code = 1


class ConfigError(SalescastError):
    """The configuration is wrong; the message names the key and the fix."""

    exit_code = 2


class DataQualityError(SalescastError):
    """Data break the contract; the message names file, column and row where there is one."""


class NotEnoughHistoryError(SalescastError):
    """The history is too short."""


class UnknownSeriesError(SalescastError):
    """A store or an item that the data do not hold."""


class UnknownReceiptError(SalescastError):
    """A receipt id that no served forecast carries."""


class UnknownAlarmError(SalescastError):
    """An alarm id that the ledger does not hold."""


class ReceiptNotRebuilt(SalescastError):  # noqa: N818 - the name is the verdict
    """A forecast cannot be made again; the message names what is missing or differs."""


class UnknownOrderError(SalescastError):
    """No proposed order has this receipt."""


class OrderConflict(SalescastError):  # noqa: N818 - it is nobody's error
    """Another decision about the order was faster, or a newer order replaced it."""


class OrderRefused(SalescastError):  # noqa: N818 - the name is the verdict
    """The order cannot be changed in this way now; the message says what is possible."""


class NoChampionError(SalescastError):
    """No model carries the alias `champion`."""


class GateRefused(SalescastError):  # noqa: N818 - the name is the verdict
    """The gate refused the challenger; the message lists the failed checks."""

    exit_code = 3


class PromotionConflict(SalescastError):  # noqa: N818 - a normal result of a race
    """Somebody else promoted meanwhile; nothing was changed."""


class ProbeFailed(SalescastError):  # noqa: N818 - the name is the verdict
    """A service did not take the new release, or answers otherwise than it does."""

    exit_code = 3


class FeedUnavailableError(SalescastError):
    """A source of data does not answer; trying again later may help."""


class StoreUnavailableError(SalescastError):
    """The registry, the ledger, the disk or the remote does not answer; try again later."""
