"""The lake: objects by key, the one way to replace them, Parquet in and out, and which lakes are on this machine."""

import hashlib
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from game_analytics.lake.bucket import Contested, Downloaded, InputChanged, Lake, LakeSettings, Stored, to_parquet
from game_analytics.local_stack.endpoint import S3Endpoint

KEY = "events/2025_12_30_events.parquet"
NUMBERS = pl.DataFrame({"number": [1, 2]}, schema={"number": pl.Int64})


@dataclass
class Build:
    """What a run makes of its input. Before it is done with the first of them, ``meanwhile`` happens."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    count: int = 0

    def __call__(self) -> tuple[bytes, int]:
        """A body and a report that both tell the how-manieth this is."""
        self.count += 1
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return f"ours, {self.count}".encode(), self.count


def content(lake: Lake, key: str = KEY) -> bytes | None:
    found = lake.get(key)
    return None if found is None else found.body


# -- objects ----------------------------------------------------------------------------------------------------------


def test_an_absent_object_has_neither_etag_nor_content(lake: Lake) -> None:
    assert lake.etag(KEY) is None
    assert lake.get(KEY) is None


def test_what_was_put_is_there_with_the_etag_that_was_told(lake: Lake) -> None:
    etag = lake.put(KEY, b"content")
    assert '"' not in etag
    assert lake.etag(KEY) == etag
    assert lake.get(KEY) == Stored(b"content", etag)


def test_equal_bytes_have_equal_etags_and_others_have_others(lake: Lake) -> None:
    assert lake.put("a", b"same") == lake.put("b", b"same")
    assert lake.put("a", b"other") != lake.etag("b")


def test_a_listing_shows_what_lies_below_a_prefix_by_key(lake: Lake) -> None:
    for key in ("events/b", "events/a", "events", "eventsmore/c", "raw/a"):
        lake.put(key, key.encode())
    found = list(lake.listing("events/"))
    assert [listed.key for listed in found] == ["events/a", "events/b"]
    assert [listed.etag for listed in found] == [lake.etag("events/a"), lake.etag("events/b")]
    assert [listed.size for listed in found] == [8, 8]
    assert found[0].last_modified.tzinfo is not None
    assert list(lake.listing("nothing/")) == []


@pytest.mark.trial
def test_more_than_a_thousand_objects_are_listed_and_deleted_whole(lake: Lake) -> None:
    keys = [f"many/{number:04}" for number in range(1_003)]
    for key in keys:
        lake.put(key, b"")
    lake.put("others/0", b"")
    assert [listed.key for listed in lake.listing("many/")] == keys
    lake.delete(key for key in keys[1:])
    assert [listed.key for listed in lake.listing("")] == ["many/0000", "others/0"]


def test_deleting_nothing_or_what_is_gone_already_is_no_fault(lake: Lake) -> None:
    lake.put(KEY, b"content")
    lake.delete([])
    lake.delete(["absent"])
    assert content(lake) == b"content"


# -- replacing --------------------------------------------------------------------------------------------------------


def test_a_new_object_is_put_where_there_is_none(lake: Lake) -> None:
    assert lake.replace(KEY, Build()) == (1, lake.etag(KEY))
    assert content(lake) == b"ours, 1"


def test_a_standing_object_is_replaced(lake: Lake) -> None:
    lake.put(KEY, b"before")
    assert lake.replace(KEY, Build()) == (1, lake.etag(KEY))
    assert content(lake) == b"ours, 1"


def test_an_object_that_was_made_meanwhile_is_not_overwritten_unseen(lake: Lake) -> None:
    build = Build([lambda: lake.put(KEY, b"theirs")])
    assert lake.replace(KEY, build) == (2, lake.etag(KEY))
    assert content(lake) == b"ours, 2"  # built anew, with theirs in view


def test_an_object_that_was_replaced_meanwhile_is_not_overwritten_unseen(lake: Lake) -> None:
    lake.put(KEY, b"before")
    build = Build([lambda: lake.put(KEY, b"theirs"), lambda: lake.put(KEY, b"theirs again")])
    assert lake.replace(KEY, build) == (3, lake.etag(KEY))
    assert content(lake) == b"ours, 3"


def test_an_object_that_was_deleted_meanwhile_is_made_anew(lake: Lake) -> None:
    lake.put(KEY, b"before")
    build = Build([lambda: lake.delete([KEY])])
    assert lake.replace(KEY, build) == (2, lake.etag(KEY))
    assert content(lake) == b"ours, 2"


def test_an_object_that_is_replaced_again_and_again_is_left_to_the_others(lake: Lake) -> None:
    build = Build([partial(lake.put, KEY, f"theirs, {number}".encode()) for number in range(1, 10)])
    with pytest.raises(Contested) as error:
        lake.replace(KEY, build)
    assert 3 <= build.count <= 4
    assert content(lake) == f"theirs, {build.count}".encode()
    assert lake.uri(KEY) in str(error.value)
    assert "run again" in str(error.value)


@pytest.mark.parametrize("before", [None, b"before"])
def test_a_refusal_is_no_fault_if_what_was_to_be_written_stands(lake: Lake, before: bytes | None) -> None:
    """So it is when a PUT arrived, its answer was lost, and it was sent again."""
    if before is not None:
        lake.put(KEY, before)
    build = Build([lambda: lake.put(KEY, b"ours, 1")])
    assert lake.replace(KEY, build) == (1, lake.etag(KEY))
    assert build.count == 1


def test_an_object_is_replaced_by_what_stands_already(lake: Lake) -> None:
    etag = lake.put(KEY, b"ours, 1")
    assert lake.replace(KEY, Build()) == (1, etag)


def test_input_that_changed_while_it_was_read_is_read_again(lake: Lake) -> None:
    def change() -> None:
        raise InputChanged

    assert lake.replace(KEY, Build([change, change])) == (3, lake.etag(KEY))
    with pytest.raises(Contested):
        lake.replace(KEY, Build([change] * 9))
    assert content(lake) == b"ours, 3"


def test_a_build_that_fails_leaves_what_stood(lake: Lake) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    lake.put(KEY, b"before")
    with pytest.raises(ZeroDivisionError):
        lake.replace(KEY, Build([fail]))
    assert content(lake) == b"before"


def test_of_two_that_add_to_an_object_at_once_neither_is_lost(lake: Lake) -> None:
    both_have_read = threading.Barrier(2, timeout=20)

    def add(letter: str) -> None:
        waits = [both_have_read.wait]

        def build() -> tuple[bytes, None]:
            read = content(lake) or b""
            if waits:
                waits.pop()()
            return read + letter.encode(), None

        lake.replace(KEY, build)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(add, "ab"))
    assert content(lake) in (b"ab", b"ba")


# -- Parquet ----------------------------------------------------------------------------------------------------------


def test_equal_frames_give_equal_bytes() -> None:
    made_from = {"game_analytics.manifest_etag": "abc"}
    assert to_parquet(NUMBERS, made_from) == to_parquet(NUMBERS.clone(), dict(made_from))
    assert to_parquet(NUMBERS, made_from) != to_parquet(NUMBERS)
    assert pl.read_parquet(io.BytesIO(to_parquet(NUMBERS))).equals(NUMBERS)


def test_what_a_file_was_made_from_can_be_read_from_it(lake: Lake) -> None:
    lake.put(KEY, to_parquet(NUMBERS, {"game_analytics.manifest_etag": "abc", "other": "ü"}))
    metadata = lake.parquet_metadata(KEY)
    assert (metadata["game_analytics.manifest_etag"], metadata["other"]) == ("abc", "ü")


@pytest.mark.parametrize("body", [b"", b"no Parquet", b"PAR1", to_parquet(NUMBERS)[:-8]])
def test_what_is_no_parquet_tells_nothing_of_what_it_was_made_from(lake: Lake, body: bytes) -> None:
    lake.put(KEY, body)
    assert lake.parquet_metadata(KEY) == {}


def test_the_rows_of_many_objects_are_read_in_the_order_of_their_keys(lake: Lake) -> None:
    lake.put("raw/b.parquet", to_parquet(NUMBERS))
    lake.put("raw/a.parquet", to_parquet(NUMBERS + 2))
    rows = lake.scan_parquet(["raw/b.parquet", "raw/a.parquet"], NUMBERS.schema).collect()
    assert rows["number"].to_list() == [1, 2, 3, 4]


def test_no_objects_have_no_rows_but_columns(lake: Lake) -> None:
    rows = lake.scan_parquet([], NUMBERS.schema).collect()
    assert rows.equals(NUMBERS.clear())


def test_a_missing_object_is_told_from_other_faults(lake: Lake) -> None:
    lake.put("raw/a.parquet", to_parquet(NUMBERS))
    with pytest.raises(FileNotFoundError):
        lake.scan_parquet(["raw/a.parquet", "raw/absent.parquet"], NUMBERS.schema).collect()


def test_a_small_object_is_read_whole(lake: Lake) -> None:
    lake.put(KEY, to_parquet(NUMBERS))
    found = lake.read_parquet(KEY)
    assert found is not None
    assert found.equals(NUMBERS)
    assert lake.read_parquet("absent") is None


# -- files ------------------------------------------------------------------------------------------------------------


def test_an_object_is_downloaded_whole_with_its_names(lake: Lake, tmp_path: Path) -> None:
    body = bytes(range(256)) * 10_000  # more than a chunk
    etag = lake.put("large", body)
    assert lake.download("large", tmp_path / "file") == Downloaded(etag, hashlib.sha256(body).hexdigest())
    assert (tmp_path / "file").read_bytes() == body


def test_an_object_that_is_not_there_is_not_downloaded(lake: Lake, tmp_path: Path) -> None:
    assert lake.download("absent", tmp_path / "file") is None
    assert list(tmp_path.iterdir()) == []


# -- where it is ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("http://localhost:9000", True),
        ("https://localhost", True),
        ("http://LOCALHOST:9000", True),
        ("http://127.0.0.1:9000", True),
        ("http://127.1.2.3", True),
        ("http://127.255.255.254:80", True),
        ("http://[::1]:9000", True),
        # Everything else may be anywhere, whatever it sounds like.
        ("http://10.0.0.1:9000", False),
        ("http://192.168.1.5:9000", False),
        ("http://0.0.0.0:9000", False),
        ("http://128.0.0.1:9000", False),
        ("http://[::2]:9000", False),
        ("http://[fe80::1]:9000", False),
        ("http://localhost.evil.example", False),
        ("http://evil-localhost:9000", False),
        ("http://localhost.localdomain", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://evil.example:9000/127.0.0.1", False),
        ("http://localhost@evil.example:9000", False),
        ("http://evil.example/?localhost", False),
        ("https://s3.eu-central-1.amazonaws.com", False),
        ("http://minio:9000", False),
    ],
)
def test_a_lake_is_on_this_machine_only_if_its_url_says_so_literally(url: str, is_local: bool) -> None:
    lake = Lake(LakeSettings("game-analytics", endpoint_url=url, region_name="eu-central-1"))
    assert lake.is_local is is_local


def test_the_embedded_lake_is_on_this_machine(s3: S3Endpoint, lake: Lake) -> None:
    assert lake.is_local
    assert lake.endpoint == s3.url
    assert lake.uri(KEY) == f"s3://{lake.bucket}/events/2025_12_30_events.parquet"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://127.0.0.1:9000/"])
def test_a_lake_tells_which_one_it_is(url: str) -> None:
    lake = Lake(LakeSettings("game-analytics", endpoint_url=url, region_name="eu-central-1"))
    assert lake.place == "s3://game-analytics at http://127.0.0.1:9000"


def test_without_an_endpoint_a_lake_lies_where_the_sdk_looks_for_it() -> None:
    lake = Lake(LakeSettings("game-analytics", region_name="eu-central-1"))
    assert lake.place == "s3://game-analytics at https://s3.eu-central-1.amazonaws.com"


def test_what_made_a_large_file_is_read_from_its_end_alone(lake: Lake) -> None:
    noise = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(100_000)]
    lake.put("large", to_parquet(pl.DataFrame({"noise": noise}), {"game_analytics.made": "here"}))
    (found,) = lake.listing("large")
    assert found.size > 3 * 1024 * 1024
    assert lake.parquet_metadata("large")["game_analytics.made"] == "here"


def test_what_made_a_file_is_found_though_very_much_is_told(lake: Lake) -> None:
    told = {"game_analytics.made": "here", "essay": "x" * 2 * 1024 * 1024}
    lake.put("wordy", to_parquet(pl.DataFrame({"a": [1]}), told))
    assert lake.parquet_metadata("wordy")["game_analytics.made"] == "here"


@pytest.mark.parametrize("body", [b"", b"PAR1", b"no Parquet" * 500_000])
def test_what_is_no_parquet_tells_nothing_of_its_making(lake: Lake, body: bytes) -> None:
    lake.put("odd", body)
    assert lake.parquet_metadata("odd") == {}
