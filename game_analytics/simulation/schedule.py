"""How many messages there are in each hour, and their offsets, computed without generating any."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import accumulate

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.days import FIRST_DAY

START = datetime.combine(FIRST_DAY, time(), UTC) - timedelta(days=1)
"""Hour 0 of the topic, one day before the first daily partition, whose window begins before its midnight."""

HOUR_MS = 3_600_000

# Messages of each UTC hour per thousand of the day: fewest before dawn, most in the evening.
_PER_MILLE = (30, 24, 19, 16, 15, 16, 20, 25, 30, 34, 38, 41, 44, 46, 49, 53, 58, 64, 70, 74, 73, 66, 54, 41)
_PER_MILLE_BEFORE = tuple(accumulate(_PER_MILLE, initial=0))

# So that each partition has at least three messages in every hour: its heartbeat, a malformed one and a repeated one.
_SMALLEST_DAY = 200
_MOST_PARTITIONS = 100


@dataclass(frozen=True)
class Simulation:
    """The settings of an endless topic of matches; equal settings give the same topic, byte for byte.

    Hours are numbered from `START`, in UTC. Messages are numbered too, and assigned to the partitions in turn, which
    determines how many messages each partition has in each hour, and their offsets. Raises `GameAnalyticsError` for
    settings out of bounds.
    """

    seed: int = 7
    events_per_day: int = 100_000
    """Messages a day, including faulty ones and events that the pipeline ignores."""
    partitions: int = 4
    malformed_share: float = 0.002
    """Share of messages that cannot be read."""
    repeated_share: float = 0.005
    """Share of messages that are delivered a second time."""
    late_share: float = 0.005
    """Share of messages delivered minutes to hours after their event, or stamped by a clock that is ahead."""

    def __post_init__(self) -> None:
        if not 1 <= self.partitions <= _MOST_PARTITIONS:
            raise _refusal("partitions", self.partitions, f"a whole number from 1 to {_MOST_PARTITIONS}")
        if self.events_per_day < _SMALLEST_DAY * self.partitions:
            smallest = f"at least {_SMALLEST_DAY * self.partitions} ({_SMALLEST_DAY} for each of {self.partitions}"
            raise _refusal("events_per_day", self.events_per_day, f"{smallest} partitions)")
        for name in ("malformed_share", "repeated_share", "late_share"):
            if not 0 <= getattr(self, name) <= 0.2:
                raise _refusal(name, getattr(self, name), "a share of all messages from 0 to 0.2")

    @property
    def players(self) -> int:
        """How many players there are; they are numbered from 0."""
        return max(100, self.events_per_day // 20)

    def partition_players(self, partition: int) -> int:
        """How many players have their messages in the partition: those with ``player % partitions == partition``."""
        return self._assigned(self.players, partition)

    def messages_before(self, hour: int) -> int:
        """How many messages all partitions get before the hour begins."""
        day, hour_of_day = divmod(hour, 24)
        return day * self.events_per_day + self._day_so_far(hour_of_day)

    def first_offset(self, partition: int, hour: int) -> int:
        """The offset of the partition's first message in the hour: the heartbeat, delivered as the hour begins."""
        return self._assigned(self.messages_before(hour), partition)

    def messages_in(self, partition: int, hour: int) -> int:
        """How many messages the partition gets in the hour."""
        return self.first_offset(partition, hour + 1) - self.first_offset(partition, hour)

    def hour_of(self, partition: int, offset: int) -> int:
        """The hour in which the message with this offset is delivered."""
        day, number = divmod(offset * self.partitions + partition, self.events_per_day)
        day_so_far = [self._day_so_far(hour_of_day) for hour_of_day in range(24)]
        return day * 24 + bisect_right(day_so_far, number) - 1

    def _day_so_far(self, hour_of_day: int) -> int:
        return self.events_per_day * _PER_MILLE_BEFORE[hour_of_day] // 1000

    def _assigned(self, count: int, partition: int) -> int:
        """How many of ``count`` things the partition gets when they are assigned to all partitions in turn."""
        return (count + self.partitions - 1 - partition) // self.partitions


def start_of(hour: int) -> datetime:
    """When the hour begins."""
    return START + timedelta(hours=hour)


def hour_at(instant: datetime) -> int:
    """The number of the hour that contains the instant."""
    return (instant - START) // timedelta(hours=1)


def _refusal(setting: str, value: float, allowed: str) -> GameAnalyticsError:
    return GameAnalyticsError(f"The simulation's {setting} is {value}, but must be {allowed}. Change the setting.")
