"""What is read of objects that no record tells of: footers and hashes, once a process and as long as there is time."""

import hashlib
import io
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl
import pytest

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.lake.bucket import Downloaded, Lake, Listed, Stored
from game_analytics.lake.claims import Claim, board_claim, stats_claim
from game_analytics.lake.reader import Reader
from game_analytics_tests.support.harness import foreign_stats


@dataclass
class Clock:
    """It stands still until it is set."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class Counting(Lake):
    """A lake that counts what is read of it, and lets a test say what comes of that."""

    def __init__(self, lake: Lake, meanwhile: Callable[[str], None] = lambda _key: None) -> None:
        super().__init__(lake.__reduce__()[1][0])
        self.read: list[str] = []
        self._meanwhile = meanwhile

    def tail(self, key: str, size: int) -> Stored | None:
        self.read.append(key)
        self._meanwhile(key)
        return super().tail(key, size)

    def digest(self, key: str) -> Downloaded | None:
        self.read.append(key)
        self._meanwhile(key)
        return super().digest(key)


@dataclass
class Reading:
    lake: Counting
    name: str = field(default_factory=lambda: str(uuid.uuid4()))
    warnings: list[str] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def reader(self) -> Reader:
        """As a tick makes it."""
        return Reader(self.lake, self.name, self.warnings.append, 20, self.clock)

    def listed(self, prefix: str = "") -> list[Listed]:
        return list(self.lake.listing(prefix))

    def claims(self) -> dict[str, Claim | None]:
        return {key: claim for (key, _), claim in self.reader().claims(self.listed(), stats_claim).items()}

    def hashes(self) -> dict[str, str]:
        return {key: sha256 for (key, _), sha256 in self.reader().hashes(self.listed()).items()}


@pytest.fixture
def reading(lake: Lake) -> Reading:
    return Reading(Counting(lake))


def stats(manifest: str, rows: int = 2) -> bytes:
    buffer = io.BytesIO()
    players = {f"p{number}": (1, 1) for number in range(rows)}
    foreign_stats(**players).write_parquet(
        buffer, metadata={"game_analytics.manifest_sha256": manifest}, row_group_size=1, compression="uncompressed"
    )
    return buffer.getvalue()


def test_a_footer_is_read_once_for_each_version_of_an_object(reading: Reading) -> None:
    reading.lake.put("a", stats("first"))
    assert reading.claims() == reading.claims() == {"a": Claim("first")}
    assert reading.lake.read == ["a"]
    reading.lake.put("a", stats("second"))
    assert reading.claims() == {"a": Claim("second")}
    assert reading.lake.read == ["a", "a"]


def test_the_footer_of_a_file_of_many_row_groups_is_read_whole(reading: Reading) -> None:
    reading.lake.put("a", stats("of many", rows=1_500))
    assert reading.claims() == {"a": Claim("of many")}
    assert reading.lake.read == ["a", "a"]  # more than the first guess


NO_PARQUET = {
    "nothing": b"",
    "a few bytes": b"PAR1",
    "text": b"no Parquet at all",
    "a length beyond the file": b"x" * 90_000 + (2**31).to_bytes(4, "little") + b"PAR1",
    "a footer that is none": b"x" * 20 + (8).to_bytes(4, "little") + b"PAR1",
}


@pytest.mark.parametrize("content", NO_PARQUET.values(), ids=NO_PARQUET.keys())
def test_what_is_no_parquet_says_nothing_of_itself(reading: Reading, content: bytes) -> None:
    reading.lake.put("a", content)
    assert reading.claims() == {"a": None}
    assert reading.warnings == []


def test_a_hash_is_of_all_bytes_and_read_once(reading: Reading) -> None:
    content = b"0123456789" * 300_000
    reading.lake.put("a", content)
    assert reading.hashes() == reading.hashes() == {"a": hashlib.sha256(content).hexdigest()}
    assert reading.lake.read == ["a"]


def test_what_there_was_no_time_for_is_left_to_the_next_tick(lake: Lake) -> None:
    clock = Clock()

    def later(_key: str) -> None:
        clock.now += 2.0

    reading = Reading(Counting(lake, later), clock=clock)
    for number in range(30):
        reading.lake.put(f"{number:02}", b"content")
    first = len(reading.hashes())
    assert 11 <= first < 30  # those that had begun go on
    assert len(reading.hashes()) > first
    assert len(reading.hashes()) == 30
    assert len(reading.lake.read) == 30


def test_an_object_that_was_replaced_meanwhile_is_not_taken_for_the_listed_one(lake: Lake) -> None:
    reading = Reading(Counting(lake, lambda key: void(lake.put(key, b"other"))))
    reading.lake.put("a", b"first")
    listed = reading.listed()
    assert reading.reader().hashes(listed) == {}
    assert reading.hashes() == {"a": hashlib.sha256(b"other").hexdigest()}


def void(_: object) -> None:
    pass


def test_an_object_that_is_gone_is_left_out(lake: Lake) -> None:
    reading = Reading(Counting(lake, lambda key: lake.delete([key])))
    reading.lake.put("a", b"first")
    assert reading.claims() == {}
    assert reading.warnings == []


def test_one_object_that_can_t_be_read_is_named_and_the_others_are_read(lake: Lake) -> None:
    """As where one was archived."""

    def refuse(key: str) -> None:
        if key == "b":
            raise GameAnalyticsError("b is archived. Restore it first.")

    reading = Reading(Counting(lake, refuse))
    for key in ("a", "b", "c"):
        reading.lake.put(key, b"content")
    assert sorted(reading.hashes()) == ["a", "c"]
    assert reading.warnings == ["b is archived. Restore it first."]


def test_where_s3_does_not_answer_nothing_more_is_asked(lake: Lake) -> None:
    def away(_key: str) -> None:
        raise Unavailable("S3 does not answer.")

    reading = Reading(Counting(lake, away), clock=Clock(1.0))
    for number in range(40):
        reading.lake.put(f"{number:02}", b"content")
    with pytest.raises(Unavailable, match="does not answer"):
        Reader(reading.lake, reading.name, reading.warnings.append).hashes(reading.listed())
    assert len(reading.lake.read) <= 16  # as many as threads had begun with


def test_what_files_say_of_themselves_today_and_said_before() -> None:
    assert stats_claim({"game_analytics.manifest_sha256": "a"}) == Claim("a")
    assert stats_claim({"game_analytics.manifest_etag": "e"}) == Claim(None, "e")
    assert stats_claim({"game_analytics.counted": "rows=1"}) is None
    board = {"game_analytics.rule_version": "1", "game_analytics.min_engagements": "20"}
    assert board_claim({"game_analytics.stats_sha256": "a", **board}) == Claim("a", rule=("1", "20"))
    assert board_claim({"game_analytics.stats_etag": "e", **board}) == Claim(None, "e", ("1", "20"))
    assert board_claim(board) is None


def test_a_claim_by_content_is_not_settled_by_an_etag_nor_the_other_way_round() -> None:
    assert Claim("content").is_of("any", "content")
    assert not Claim("content").is_of("content", "other")
    assert Claim(None, "etag").is_of("etag", None)
    assert not Claim(None, "etag").is_of("other", "etag")


def test_an_empty_frame_is_read_as_any_other(reading: Reading) -> None:
    buffer = io.BytesIO()
    pl.DataFrame(schema={"player_id": pl.String}).write_parquet(
        buffer, metadata={"game_analytics.manifest_sha256": "of nobody"}
    )
    reading.lake.put("a", buffer.getvalue())
    assert reading.claims() == {"a": Claim("of nobody")}
