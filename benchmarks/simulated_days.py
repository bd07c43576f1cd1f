"""Publishes many days to one topic at once, as `game-analytics produce --follow` would over time."""

from datetime import date, timedelta

from rich.console import Console

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import window_of
from game_analytics.simulation.messages import timeline
from game_analytics.simulation.publish_day import LATENESS
from game_analytics.simulation.publisher import AT_ONCE, Publisher, as_messages, open_topic
from game_analytics.simulation.schedule import Simulation, hour_at
from game_analytics.sources.kafka.client import KafkaSettings

_SETTLES_WITHIN_SECONDS = 300


def publish_days(target: KafkaSettings, first: date, last: date, simulation: Simulation) -> int:
    """Create the topic and publish everything that landing these days reads. Returns the number of messages."""
    console = Console(quiet=True)
    open_topic(console, target, simulation, partitions=None, create=True)
    publisher = Publisher(target, console.print)
    begins = hour_at(window_of(first, LATENESS).start)
    sent = 0
    for hour in range(begins, hour_at(window_of(last, LATENESS).end)):
        for rows in timeline(simulation, hour).iter_slices(AT_ONCE):
            publisher.queue(as_messages(rows, hour))
            sent += rows.height
    if publisher.settle(_SETTLES_WITHIN_SECONDS):
        raise GameAnalyticsError(f"Kafka at {target.bootstrap_servers} did not take all messages of {target.topic}.")
    return sent


def days_before(last: date, count: int) -> list[date]:
    """``count`` days up to and including ``last``."""
    return [last - timedelta(days=back) for back in reversed(range(count))]
