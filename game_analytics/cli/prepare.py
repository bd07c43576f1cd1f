"""`game-analytics prepare`: creates the bucket and the topic of the environment's settings if they are missing, and
checks that the database accepts connections.

It can be repeated, and waits for servers that are not up yet.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from rich.console import Console

from game_analytics.cli.database import Database
from game_analytics.cli.terminal import visible
from game_analytics.errors import Unavailable
from game_analytics.lake.bucket import Lake
from game_analytics.settings import TOPIC, Settings, read_settings

_RETRY_SECONDS = 0.5
_KAFKA_TIMEOUT = timedelta(seconds=5)  # a wrong password is reported only after it

T = TypeVar("T")


def prepare(console: Console, *, partitions: int, wait_seconds: int) -> None:
    """Create what is missing, a topic with this number of ``partitions``, and print a line about each.

    Raises `GameAnalyticsError` if a server refuses, and `Unavailable` if one does not answer within ``wait_seconds``,
    counted over all servers.
    """
    settings = read_settings()
    lake, database = Lake(settings.lake), Database.of(settings)
    servers = _Servers(console, wait_seconds)
    made = servers.answer(f"S3 at {lake.endpoint}", lake.ensure_bucket)
    _print(console, f"{_verb(made)} the bucket {lake.bucket} at {lake.endpoint}")
    if settings.kafka_bootstrap_servers is not None:
        _print(console, servers.answer(f"Kafka at {settings.kafka_bootstrap_servers}", _topic(settings, partitions)))
    else:
        _print(console, "No topic is needed: KAFKA_BOOTSTRAP_SERVERS is not set, so events are simulated")
    if database is not None:
        where = f"{database.host}:{database.port}"
        servers.answer(f"PostgreSQL at {where}", database.ensure_open)
        _print(console, f"Found the database {database.name} at {where}")


def _topic(settings: Settings, partitions: int) -> Callable[[], str]:
    """A function that creates the topic if it is missing, and returns a line about it."""
    # Imported here: without Kafka no client is needed.
    from game_analytics.sources.kafka.client import VARIABLES, KafkaSettings  # noqa: PLC0415
    from game_analytics.sources.kafka.topic import Topic  # noqa: PLC0415

    bootstrap = settings.kafka_bootstrap_servers or ""
    kafka = KafkaSettings.read(bootstrap, settings.kafka_topic or TOPIC, settings.kafka_config_file)
    topic = Topic(replace(kafka, answers_within=_KAFKA_TIMEOUT), VARIABLES)

    def make() -> str:
        present = topic.partitions()
        if present is None:
            topic.create(partitions)
        kept = ", kept for ever" if present is None else ""
        where = f"{kafka.topic} at {bootstrap}"
        return f"{_verb(present is None)} the topic {where}, {present or partitions} partitions{kept}"

    return make


class _Servers:
    """Waits for servers, for no longer than allowed in total."""

    def __init__(self, console: Console, seconds: int) -> None:
        self._console = console
        self._end = time.monotonic() + seconds

    def answer(self, server: str, ask: Callable[[], T]) -> T:
        """The result of ``ask``, repeated while it raises `Unavailable`. Prints once that it waits."""
        printed = False
        while True:
            try:
                return ask()
            except Unavailable:
                left = self._end - time.monotonic()
                if left <= 0:
                    raise
            if not printed:
                _print(self._console, f"Waiting up to {left:.0f} s for {server}, which does not answer yet ...")
                printed = True
            time.sleep(min(left, _RETRY_SECONDS))


def _verb(made: bool) -> str:
    return "Made" if made else "Found"


def _print(console: Console, line: str) -> None:
    console.print(visible(line), soft_wrap=True)
