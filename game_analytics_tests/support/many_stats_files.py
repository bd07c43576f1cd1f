"""Hundreds of stats files, some of them bad; later versions and their times; and each one's board in plain Python."""

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import count

import polars as pl

from game_analytics_tests.support.harness import parquet

Player = tuple[str | None, int | None, int | None]
"""Player id, kills, deaths; any values in a bad file."""

BoardRow = tuple[int, str, int, int, float]

COLUMNS = {"player_id": pl.String, "kills": pl.Int32, "deaths": pl.Int32}
LAST_REWRITE_TICK = 11


@dataclass(frozen=True)
class Version:
    """The bytes of a stats file, and its board; None if it can't be ranked."""

    body: bytes
    board: tuple[BoardRow, ...] | None

    @property
    def etag(self) -> str:
        """The ETag of a simple upload."""
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True)
class Rewrite:
    """A file is overwritten this many seconds after the start of a certain tick."""

    day: str
    version: Version
    tick: int
    after_seconds: float


@dataclass(frozen=True)
class Plan:
    """The first versions by day, and later versions; a day's later versions are in order."""

    landed: Mapping[str, Version]
    rewrites: Sequence[Rewrite]


class Files:
    """Distinct stats files (except empty ones) of few players with small counts, so that many tie."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._serials = count()
        self._kinds: list[Callable[[list[Player]], bytes]] = [
            self._no_parquet,
            self._column_missing,
            self._null,
            self._negative,
            self._twice,
            self._empty,
        ]

    def good(self) -> Version:
        players = [(f"player {number}", *self._counts()) for number in range(self._dice.randint(1, 14))]
        self._dice.shuffle(players)
        return Version(self._file(players), board_of(players))

    def bad(self, kind: int) -> Version:
        players: list[Player] = [(f"player {number}", *self._counts()) for number in range(6)]
        return Version(self._kinds[kind % len(self._kinds)](players), None)

    def _counts(self) -> tuple[int, int]:
        return self._dice.randint(0, 12), self._dice.randint(0, 4)

    def _file(self, players: Sequence[Player], without: str | None = None) -> bytes:
        frame = pl.DataFrame(players, schema=COLUMNS, orient="row").with_columns(serial=pl.lit(next(self._serials)))
        return parquet(frame if without is None else frame.drop(without))

    def _no_parquet(self, _players: list[Player]) -> bytes:
        return f"no Parquet, number {next(self._serials)}".encode()

    def _column_missing(self, players: list[Player]) -> bytes:
        return self._file(players, without=self._dice.choice(list(COLUMNS)))

    def _null(self, players: list[Player]) -> bytes:
        player, kills, deaths = players[0]
        with_null: list[Player] = [(None, kills, deaths), (player, None, deaths), (player, kills, None)]
        return self._file([*players[1:], self._dice.choice(with_null)])

    def _negative(self, players: list[Player]) -> bytes:
        return self._file([*players, self._dice.choice([("below", -1, 2), ("below", 2, -1)])])

    def _twice(self, players: list[Player]) -> bytes:
        return self._file([*players, (self._dice.choice(players)[0], 1, 1)])

    def _empty(self, _players: list[Player]) -> bytes:
        return b""


def board_of(players: Sequence[tuple[str, int, int]]) -> tuple[BoardRow, ...]:
    """The ten best, by exact fractions."""
    best = sorted(
        players,
        key=lambda each: (-Fraction(each[1], max(each[2], 1)), -each[1], each[2], each[0].encode()),
    )[:10]
    return tuple(
        (rank, player, kills, deaths, kills / max(deaths, 1)) for rank, (player, kills, deaths) in enumerate(best, 1)
    )


def many_files(seed: int, days: int = 300) -> Plan:
    """A tenth of the files are bad, evenly of all kinds; seven percent are overwritten later, at times that the seed
    determines."""
    dice = random.Random(seed)  # noqa: S311 - it decides nothing but this test
    files = Files(dice)
    names = [(date(2024, 1, 1) + timedelta(days=number)).isoformat() for number in range(days)]
    bad_days = dice.sample(names, days // 10)
    good_days = [day for day in names if day not in bad_days]
    landed = {day: files.good() for day in good_days}
    landed |= {day: files.bad(kind) for kind, day in enumerate(bad_days)}

    hundredth = days // 100
    becoming_good = bad_days[: 2 * hundredth]
    good_for_a_while = bad_days[2 * hundredth : 3 * hundredth]
    dice.shuffle(good_days)
    becoming_bad, bad_for_a_while, changing, there_and_back = (
        good_days[place * hundredth : (place + 1) * hundredth] for place in range(4)
    )
    rewrites = [
        *(each for day in (*becoming_good, *changing) for each in _written(dice, day, [files.good()])),
        *(each for kind, day in enumerate(becoming_bad) for each in _written(dice, day, [files.bad(kind)])),
        *(
            each
            for day in (*good_for_a_while, *there_and_back)
            for each in _written(dice, day, [files.good(), landed[day]])
        ),
        *(
            each
            for kind, day in enumerate(bad_for_a_while)
            for each in _written(dice, day, [files.bad(kind), landed[day]])
        ),
    ]
    return Plan(landed, rewrites)


def _written(dice: random.Random, day: str, versions: Sequence[Version]) -> Iterator[Rewrite]:
    """During one tick or several, so that the sensor sees each version or only the last one."""
    tick, after = dice.randint(1, LAST_REWRITE_TICK), 0.0
    for version in versions:
        after += dice.uniform(0, dice.choice([0.7, 5]))
        yield Rewrite(day, version, tick, after)
        if dice.random() < 0.5:
            tick, after = tick + dice.randint(1, 4), 0.0


def foreign_keys() -> dict[str, bytes]:
    """Other objects in the folder, none of them a stats file of a past day."""
    good = Files(random.Random(0)).good().body  # noqa: S311 - it decides nothing but this test
    return {
        "events/": b"",
        "events/readme.txt": b"hello",
        "events/2024_01_01_events.parquet.tmp": good,
        "events/2024_02_30_events.parquet": good,
        "events/2023_12_31_events.parquet": good,
        "events/9999_12_31_events.parquet": good,
        "events/old/2024_01_02_events.parquet": good,
        "events/2024-01-03_events.parquet": good,
    }
