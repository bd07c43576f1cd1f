"""The properties of librdkafka's clients: those that landing a day depends on, our defaults, and what the file says
that `KAFKA_CONFIG_FILE` names: SASL, TLS, sizes. That is passed on and shown nowhere, since passwords stand in it."""

import re
from pathlib import Path

from game_analytics.errors import GameAnalyticsError

READING = {
    # A missing offset is an error, never a silent jump; what was aborted is not read; nothing is remembered.
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "enable.partition.eof": "true",
    # A message that was damaged on disk or on its way is an error, not another message.
    "check.crcs": "true",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "allow.auto.create.topics": "false",
}
"""What makes reading complete and repeatable. A file can't change these."""

CLIENT_DEFAULTS = {
    "client.id": "game-analytics",
    # A broker that is back is found within two seconds.
    "reconnect.backoff.max.ms": "2000",
    # What happens is told by error callbacks; librdkafka's own lines on standard error would only repeat it.
    "log_level": "2",
}
"""What every client gets. A file may change it."""

CONSUMER_DEFAULTS = {
    # A consumer must have one; no group is ever joined, and nothing is committed.
    "group.id": "game-analytics",
    # A queue full of messages is looked at again after 20 ms. By default that is a second in which nothing is fetched:
    # a million messages took 4.4 s then and take 0.5 s now.
    "fetch.queue.backoff.ms": "20",
    # At the end of a partition a broker answers after 20 ms that there is no more, and the next slice can begin.
    "fetch.wait.max.ms": "20",
    # The queue is bounded by bytes alone, 4 MiB of values a process. Small messages take several times that in memory:
    # with 16 MiB a process took 40 MiB more and read no faster.
    "queued.min.messages": "1000000",
    "queued.max.messages.kbytes": "4096",
}
"""What a consumer gets besides. A file may change it."""

_OURS = {*READING, "bootstrap.servers", "metadata.broker.list"}
# Of the Python client, which wants functions and the like; and what would write some secrets to a run's log.
_NOT_FOR_A_FILE = re.compile(r".*_cb|default\.topic\.config|debug")
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def read_properties(path: Path) -> dict[str, str]:
    """The properties of a file of ``name=value`` lines; empty lines and those that begin with ``#`` say nothing, and a
    name without a value leaves the default.

    Raises `GameAnalyticsError` naming the file and the line. It never says what stands there: it may be a secret.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise GameAnalyticsError(
            f"The file of Kafka properties, {path}, can't be read: {reason}. Name a file of `name=value` lines "
            "(KAFKA_CONFIG_FILE, or --config-file), or none."
        ) from None
    properties: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not _NAME.fullmatch(name):
            raise GameAnalyticsError(f"{path}, line {number}: `name=value` was expected. Fix the line.")
        if name in properties:
            raise GameAnalyticsError(f"{path}, line {number}: {name} is set twice. Remove one of the two.")
        if name in _OURS or _NOT_FOR_A_FILE.fullmatch(name):
            raise GameAnalyticsError(f"{path}, line {number}: {name} is not for this file to set. Remove the line.")
        properties[name] = value.strip()
    return {name: value for name, value in properties.items() if value}
