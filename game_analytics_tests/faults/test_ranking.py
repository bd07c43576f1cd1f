"""The ranking against an oracle that compares integers and bytes, over stats files with rows in any order and row
groups of any size, read by one or several threads."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import cmp_to_key
from heapq import nsmallest
from itertools import count, cycle
from pathlib import Path
from random import Random

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.datatypes import DataTypeClass

from game_analytics.lake.bucket import Lake
from game_analytics.leaderboards.stats_file import connect
from game_analytics.leaderboards.top10 import publish_board
from game_analytics.rules.leaderboard import ensure_columns, ensure_rankable, ensure_valid, top_players
from game_analytics_tests.support.harness import parquet

Player = tuple[str, int, int]
"""Player id, kills, deaths."""
Board = list[tuple[int, str, int, int, float]]
Trial = Callable[[str, object], None]

DAY = date(2025, 12, 30)
EXACT = 2**26
"""Up to here float64 distinguishes all ratios of counts, so comparing integers gives the same order."""
LARGEST = 2**53
"""Up to here float64 holds the counts exactly, so a ratio is one correctly rounded division."""

ROW_GROUPS = (1, 2, 7, 1_000)
MOST_OF: dict[DataTypeClass, int] = {
    pl.Int8: 2**7 - 1,
    pl.UInt8: 2**8 - 1,
    pl.Int16: 2**15 - 1,
    pl.UInt16: 2**16 - 1,
    pl.Int32: 2**31 - 1,
    pl.UInt32: 2**32 - 1,
    pl.Int64: 2**63 - 1,
    pl.UInt64: 2**64 - 1,
}

# The oracle


def compared_by_whole_numbers(one: Player, other: Player) -> int:
    """Negative if the first player ranks higher. Ratios are cross-multiplied, without division."""
    (name, kills, deaths), (other_name, other_kills, other_deaths) = one, other
    own, others = kills * max(other_deaths, 1), other_kills * max(deaths, 1)
    if own != others:
        return others - own
    if kills != other_kills:
        return other_kills - kills
    if deaths != other_deaths:
        return deaths - other_deaths
    return -1 if name.encode() < other_name.encode() else 1


def by_whole_numbers(players: list[Player], min_engagements: int) -> Board:
    ranked = (player for player in players if player[1] + player[2] >= min_engagements)
    return board(nsmallest(10, ranked, key=cmp_to_key(compared_by_whole_numbers)))


def by_float64(players: list[Player], min_engagements: int) -> Board:
    """By the ratio as Python divides two integers, which is correctly rounded."""
    ranked = (player for player in players if player[1] + player[2] >= min_engagements)
    return board(
        nsmallest(10, ranked, key=lambda each: (-(each[1] / max(each[2], 1)), -each[1], each[2], each[0].encode()))
    )


def board(best: list[Player]) -> Board:
    return [
        (rank, name, kills, deaths, kills / max(deaths, 1)) for rank, (name, kills, deaths) in enumerate(best, start=1)
    ]


# Generated days


@dataclass(frozen=True)
class File:
    """How a stats file is written."""

    seed: int
    row_group_size: int
    kills: DataTypeClass
    deaths: DataTypeClass

    def write(self, players: list[Player], path: Path) -> str:
        self.frame(players).write_parquet(path, row_group_size=self.row_group_size)
        return str(path)

    def frame(self, players: list[Player]) -> pl.DataFrame:
        shuffled = Random(self.seed).sample(players, len(players))  # noqa: S311
        types = {"player_id": pl.String, "kills": self.kills, "deaths": self.deaths}
        return pl.DataFrame(shuffled, schema=types, orient="row")


_CHARACTERS = ["", *"aZ09é\u07ff\u0800\uffff😀\U0010ffff \x00"]
NAMES = st.sampled_from(sorted({one + other for one in _CHARACTERS for other in _CHARACTERS}))


def counts(most: int) -> st.SearchStrategy[int]:
    """Small counts, with which many players are equal; limits; and any others."""
    borders = [0, 1, 2, 3, most - 1, most, most // 2, most // 3 * 2]
    return st.one_of(st.integers(0, 3), st.sampled_from(borders), st.integers(0, most))


def crowds(most: int) -> st.SearchStrategy[list[Player]]:
    """Random players; on some days ten or more equal ones, so that the tenth place is tied."""
    players = st.lists(st.tuples(NAMES, counts(most), counts(most)), min_size=3, max_size=20)
    equals = st.one_of(
        st.just([]),
        st.tuples(st.lists(NAMES, min_size=9, max_size=16), counts(most), counts(most)).map(
            lambda drawn: [(name, drawn[1], drawn[2]) for name in drawn[0]]
        ),
    )
    return st.tuples(players, equals).map(
        lambda drawn: list({each[0]: each for each in (*drawn[1], *drawn[0])}.values())
    )


@st.composite
def files(draw: st.DrawFn, most: int) -> File:
    """Any row order, row groups, and integer types that hold ``most``."""
    wide_enough = [dtype for dtype, holds in MOST_OF.items() if holds >= most]
    return File(
        draw(st.integers(0, 2**16)),
        draw(st.sampled_from(ROW_GROUPS)),
        draw(st.sampled_from(wide_enough)),
        draw(st.sampled_from(wide_enough)),
    )


def days(*most: int) -> st.SearchStrategy[tuple[list[Player], list[File]]]:
    """The players of a day, and two files that hold them."""
    return st.sampled_from(most).flatmap(
        lambda limit: st.tuples(crowds(limit), st.lists(files(limit), min_size=2, max_size=2))
    )


MINIMA = st.sampled_from([0, 0, 0, 1, 2, 4, 100, EXACT, EXACT + 1, LARGEST])

# Ranked by DuckDB


class Rankings:
    """A connection with one thread and one with several, and files that are written for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connections = [duckdb.connect(config={"threads": threads}) for threads in (1, 4)]
        self._numbers = count()

    def of(self, players: list[Player], files: Sequence[File], minima: Sequence[int]) -> Iterator[tuple[int, Board]]:
        """The board for each minimum and file, read by the connections in turn."""
        for file, connection in zip(files, cycle(self._connections)):
            path = self._folder / f"{next(self._numbers)}.parquet"
            lay(connection, file.write(players, path))
            for least in minima:
                ranked = top_players(connection, least)
                ensure_valid(ranked)
                yield least, ranked.rows()
            path.unlink()

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


def lay(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """The view ``stats`` over a file, created and checked as by the asset."""
    columns = connection.execute("SELECT * FROM read_parquet($path) LIMIT 0", {"path": path}).description or []
    ensure_columns({name: str(dtype) for name, dtype, *_ in columns})
    connection.execute("SET VARIABLE stats_path = $path", {"path": path})
    connection.execute(
        "CREATE OR REPLACE TEMPORARY VIEW stats AS "
        "SELECT player_id, kills, deaths, file_row_number AS row FROM read_parquet(getvariable('stats_path'))"
    )
    ensure_rankable(connection)


@pytest.fixture(scope="module")
def rankings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rankings]:
    ranked = Rankings(tmp_path_factory.mktemp("ranked"))
    yield ranked
    ranked.close()


PATIENT = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.trial
@pytest.mark.parametrize(
    ("most", "oracle", "what"),
    [
        ((3, 127, 255, 60_000, EXACT), by_whole_numbers, "counts to 2^26 against whole numbers"),
        ((LARGEST,), by_float64, "counts to 2^53 against divisions correctly rounded"),
    ],
    ids=["whole numbers", "float64"],
)
def test_any_day_is_ranked_as_the_oracle_ranks_it(
    rankings: Rankings,
    most: tuple[int, ...],
    oracle: Callable[[list[Player], int], Board],
    what: str,
    record_property: Trial,
) -> None:
    boards: set[tuple[tuple[Player, ...], int]] = set()
    cut_among_equals = 0

    @settings(PATIENT, max_examples=250)
    @given(days(*most), MINIMA)
    def same(day: tuple[list[Player], list[File]], least: int) -> None:
        nonlocal cut_among_equals
        players, files = day
        minima = {0, 1, 5, least}
        expected = {each: oracle(players, each) for each in minima}
        for asked, found in rankings.of(players, files, sorted(minima)):
            assert found == expected[asked]
        boards.update((tuple(players), each) for each in minima)
        cut_among_equals += is_cut_among_equals(players, expected[0])

    same()
    assert len(boards) > 500
    assert cut_among_equals >= 20
    record_property(
        "trial",
        f"ranking, {what}: {len(boards):,} boards from 2 files each, by 1 thread and by 4, all as they should be "
        f"({cut_among_equals:,} with equals on both sides of the last place)",
    )


def is_cut_among_equals(players: list[Player], ranked: Board) -> bool:
    """Whether an unranked player differs from the tenth only by name."""
    shown = {row[1] for row in ranked}
    return any(name not in shown and (kills, deaths) == ranked[-1][2:4] for name, kills, deaths in players)


# Days written by hand, published as a board


def days_by_hand() -> dict[str, list[Player]]:
    near = [(f"p{number}", EXACT - number, EXACT - number - 1) for number in range(12)]
    fractions = [(f"{kills}/{deaths}", kills, deaths) for kills in range(12) for deaths in range(12)]
    return {
        "nobody": [],
        "somebody who did nothing": [("idle", 0, 0)],
        "all idle": [(f"idle {number:02}", 0, 0) for number in range(30)],
        "nobody ever died": [(f"p{number}", number % 5, 0) for number in range(30)],
        "one death is like none": [(f"p{number}", 5, number % 2) for number in range(30)],
        "nobody ever killed": [(f"p{number}", 0, number % 7) for number in range(30)],
        "equal ratios of other counts": [(f"p{number}", 2 * number, number) for number in range(30)],
        "ten equals": [(name, 4, 2) for name in "jihgfedcba"],
        "eleven equals": [(name, 4, 2) for name in "kjihgfedcba"],
        "equals around the tenth place": [*((f"l{n}", 90 - n, 1) for n in range(8)), *((n, 4, 2) for n in "dcba")],
        "ratios that differ in the last bit": near,
        "all small fractions": fractions,
        "names in the order of UTF-16 would differ": [
            (name, 1, 1) for name in ("\uffff", "😀", "\ue000", "z", "é", "")
        ],
        "numbers are no numbers in names": [(name, 1, 1) for name in ("10", "9", "09", "1", "-1", "1e3", "NaN", "inf")],
    }


@pytest.mark.parametrize("name", days_by_hand())
def test_a_board_is_published_as_the_oracle_ranks_it_however_its_file_was_written(lake: Lake, name: str) -> None:
    players = days_by_hand()[name]
    small = max((max(kills, deaths) for _, kills, deaths in players), default=0) < 128
    widths = (pl.Int8, pl.UInt8) if small else (pl.Int32, pl.UInt64)
    for seed, row_group_size, least in [(1, 1, 0), (2, 3, 0), (3, 1_000, 1), (4, 7, 5)]:
        file = File(seed, row_group_size, *widths)
        lake.put("events/2025_12_30_events.parquet", parquet(file.frame(players)))
        with closing(connect()) as connection:
            publish_board(lake, connection, DAY, least)
        published = lake.read_parquet("leaderboard/2025_12_30_top10.parquet")
        assert published is not None
        assert published.rows() == by_whole_numbers(players, least)


def a_crowd(seed: int) -> list[Player]:
    """60,000 players, many of them equal: enough row groups for several threads."""
    chance = Random(seed)  # noqa: S311
    best = [0, 1, 2, 3, 6] if seed % 2 else [0, 5]
    return [(f"player {number:06}", chance.choice(best), chance.choice([0, 1, 2])) for number in range(60_000)]


@pytest.mark.parametrize("seed", range(2))
def test_a_crowd_of_equals_gives_the_same_ten_by_any_number_of_threads(
    rankings: Rankings, seed: int, record_property: Trial
) -> None:
    players = a_crowd(seed)
    expected = by_whole_numbers(players, 0)
    files = [File(number, rows, pl.UInt16, pl.Int8) for number, rows in enumerate([2_048, 2_048, 30_000, 60_000])]
    for _, found in rankings.of(players, files, [0]):
        assert found == expected
    record_property("trial", f"ranking, crowd {seed}: 60,000 players in 4 files, by 1 thread and by 4, the same ten")
