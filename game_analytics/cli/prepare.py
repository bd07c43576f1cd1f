"""`game-analytics prepare`: the bucket and the topic that the environment names, made where they are missing, and the
database, whether it lets us in.

It may run as often as one likes, and before the servers are up: it waits for them.
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

_ASK_AGAIN_SECONDS = 0.5
_ANSWERS_WITHIN = timedelta(seconds=5)  # a wrong password is known only when this is over

T = TypeVar("T")


def prepare(console: Console, *, partitions: int, wait_seconds: int) -> None:
    """Make what is missing, with so many ``partitions`` if that is the topic, and say a line about each.

    Raises `GameAnalyticsError` if a server refuses, and `Unavailable` if one does not answer before all the waiting
    took ``wait_seconds``.
    """
    settings = read_settings()
    lake, database = Lake(settings.lake), Database.of(settings)
    patience = _Patience(console, wait_seconds)
    made = patience.answer(f"S3 at {lake.endpoint}", lake.ensure_bucket)
    _say(console, f"{_verb(made)} the bucket {lake.bucket} at {lake.endpoint}")
    if settings.kafka_bootstrap_servers is not None:
        _say(console, patience.answer(f"Kafka at {settings.kafka_bootstrap_servers}", _topic(settings, partitions)))
    else:
        _say(console, "No topic is needed: KAFKA_BOOTSTRAP_SERVERS is not set, so events are simulated")
    if database is not None:
        where = f"{database.host}:{database.port}"
        patience.answer(f"PostgreSQL at {where}", database.ensure_open)
        _say(console, f"Found the database {database.name} at {where}")


def _topic(settings: Settings, partitions: int) -> Callable[[], str]:
    """Makes the topic where it is missing, and says which it was."""
    # Not at the top: a bucket alone needs no Kafka client.
    from game_analytics.sources.kafka.client import VARIABLES, KafkaSettings  # noqa: PLC0415
    from game_analytics.sources.kafka.topic import Topic  # noqa: PLC0415

    servers = settings.kafka_bootstrap_servers or ""
    kafka = KafkaSettings.read(servers, settings.kafka_topic or TOPIC, settings.kafka_config_file)
    topic = Topic(replace(kafka, answers_within=_ANSWERS_WITHIN), VARIABLES)

    def make() -> str:
        present = topic.partitions()
        if present is None:
            topic.create(partitions)
        kept = ", kept for ever" if present is None else ""
        where = f"{kafka.topic} at {servers}"
        return f"{_verb(present is None)} the topic {where}, {present or partitions} partitions{kept}"

    return make


class _Patience:
    """Waits for servers, all of them together no longer than was allowed."""

    def __init__(self, console: Console, seconds: int) -> None:
        self._console = console
        self._end = time.monotonic() + seconds

    def answer(self, who: str, ask: Callable[[], T]) -> T:
        """The answer, asked for until there is one. That it has to wait is said once."""
        said = False
        while True:
            try:
                return ask()
            except Unavailable:
                left = self._end - time.monotonic()
                if left <= 0:
                    raise
            if not said:
                _say(self._console, f"Waiting up to {left:.0f} s for {who}, which does not answer yet ...")
                said = True
            time.sleep(min(left, _ASK_AGAIN_SECONDS))


def _verb(made: bool) -> str:
    return "Made" if made else "Found"


def _say(console: Console, line: str) -> None:
    console.print(visible(line), soft_wrap=True)
