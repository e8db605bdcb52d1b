"""Notification of alarms: the only user of Apprise, imported when a message is sent.

A webhook is json://host/path, Slack slack://…, e-mail mailtos://…; Apprise knows a hundred more.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from salescast.errors import ConfigError


def notify(urls: Sequence[str], alarms: Sequence[Mapping[str, Any]], about: str) -> bool:
    """Send the alarms in one message to every URL; tell whether all took it.

    Raises ConfigError for a URL that is none, without showing it: it may hold a password.
    """
    if not urls or not alarms:
        return True
    from apprise import Apprise, NotifyType

    service = Apprise()
    for place, url in enumerate(urls, 1):
        if not service.add(url):
            raise ConfigError(f"monitoring.notify: entry {place} is no Apprise URL; see its list")
    pages = [alarm for alarm in alarms if alarm["severity"] == "page"]
    kind = NotifyType.FAILURE if pages else NotifyType.WARNING
    title = f"{about}: {len(pages)} pages, {len(alarms) - len(pages)} tickets"
    return bool(service.notify(title=title, body="\n".join(map(_line, alarms)), notify_type=kind))


def _line(alarm: Mapping[str, Any]) -> str:
    return f"{alarm['severity']}: {alarm['name']}, {alarm['subject']}: see {alarm['runbook']}"
