"""Properties of librdkafka's clients: fixed ones that landing depends on, defaults, and those of the file that
`KAFKA_CONFIG_FILE` names (SASL, TLS, sizes), which are never shown, since they may hold passwords."""

import re
from pathlib import Path

from game_analytics.sources.properties import PropertiesFile

READING = {
    # A missing offset is an error, not a silent jump; aborted messages are skipped; no offset is committed.
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "enable.partition.eof": "true",
    # A message damaged on disk or in transit is an error.
    "check.crcs": "true",
    "enable.auto.commit": "false",
    "enable.auto.offset.store": "false",
    "allow.auto.create.topics": "false",
}
"""Make reading complete and repeatable. A file can't change these."""

CLIENT_DEFAULTS = {
    "client.id": "game-analytics",
    # A restarted broker is found within two seconds.
    "reconnect.backoff.max.ms": "2000",
    # Errors come by callbacks; librdkafka's lines on standard error would repeat them.
    "log_level": "2",
}
"""Defaults of every client. A file may change them."""

CONSUMER_DEFAULTS = {
    # Required by the client, though no group is joined and no offset committed.
    "group.id": "game-analytics",
    # After a full queue, fetching resumes within 20 ms. The default is a second: a million messages took 4.4 s with it,
    # and take 0.5 s now.
    "fetch.queue.backoff.ms": "20",
    # At the end of a partition a broker answers within 20 ms, and the next slice can begin.
    "fetch.wait.max.ms": "20",
    # Only bytes bound the queue, 4 MiB of values per process. Small messages take several times that in memory: with
    # 16 MiB a process took 40 MiB more and was no faster.
    "queued.min.messages": "1000000",
    "queued.max.messages.kbytes": "4096",
}
"""Further defaults of consumers. A file may change them."""

_OURS = {*READING, "bootstrap.servers", "metadata.broker.list"}
# Properties of the Python client that need functions, and those that would log secrets.
_NOT_FOR_A_FILE = re.compile(r".*_cb|default\.topic\.config|debug")

_FILE = PropertiesFile(
    "Kafka properties",
    "KAFKA_CONFIG_FILE, or --config-file",
    lambda name: name in _OURS or _NOT_FOR_A_FILE.fullmatch(name) is not None,
)


def read_properties(path: Path) -> dict[str, str]:
    """The properties of the file that `KAFKA_CONFIG_FILE` names. Raises `GameAnalyticsError`, as `PropertiesFile`."""
    return _FILE.read(path)
