"""The unit of work: cut at the same places, read in bounded batches, stored as immutable objects named by content."""

import hashlib
import io
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl
import pytest

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.bucket import Lake
from game_analytics.landing.plan import Range
from game_analytics.landing.slices import Slice, SliceReport, cut, land_slice
from game_analytics_tests.support.faulty_logs import OneByOne, Wide, off_the_calendar
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.samples import (
    DAY,
    at,
    body_of,
    death,
    ensure_whole,
    kill,
    land,
    stored,
    tombstone,
    utc,
)


def some_of_everything() -> list[Message]:
    """Offsets 2 to 20 of a partition; what is missing in between was compacted away."""
    return [
        at(2, "2025-12-29 23:58", kill("early", ts="2025-12-30T00:00:00Z")),
        # Every field, an offset from UTC, and more digits than the lake keeps.
        at(3, "2025-12-30 12:00", death("ann", ts="2025-12-30T13:30:00.1234567+01:30", game_id="g-1", event_id="e-1")),
        tombstone(4, "2025-12-30 12:00:01.234"),
        at(9, "2025-12-30 12:00:02", b"\xff\x00 no text at all"),
        at(10, "2025-12-30 12:00:03.5", kill("b\N{LATIN SMALL LETTER O WITH DIAERESIS}b")),
        at(11, "2025-12-30 12:00:04", b'{"event_type": "LOGIN"}'),  # ignored
        at(12, "2025-12-30 12:00:05", kill("late", ts="2025-12-29T23:59:59.999999Z")),  # of the day before
        at(19, "2025-12-30 12:00:06", kill("")),  # bad_player_id
    ]


WHOLE = Slice(DAY, partition=5, first=2, end=20)


def log_of(messages: Sequence[Message]) -> ListedLog:
    return ListedLog({5: messages})


def read_back(lake: Lake, key: str) -> pl.DataFrame:
    return pl.read_parquet(io.BytesIO(body_of(lake, key)))


def test_a_range_is_cut_at_the_same_places_into_slices_of_bounded_size() -> None:
    ranges = [Range(0, 0, 10, 9), Range(1, 5, 5, 5), Range(2, 7, 9, 8), Range(3, 1, 9, 9)]
    expected = [
        Slice(DAY, 0, 0, 4),
        Slice(DAY, 0, 4, 8),
        Slice(DAY, 0, 8, 10),
        Slice(DAY, 2, 7, 9),
        Slice(DAY, 3, 1, 5),
        Slice(DAY, 3, 5, 9),
    ]
    assert list(cut(DAY, ranges, size=4)) == expected


def test_a_large_range_is_not_one_slice() -> None:
    slices = list(cut(DAY, [Range(0, 1_000, 2_000_000, 2_000_000)]))
    assert max(slice_.end - slice_.first for slice_ in slices) <= 250_000
    assert (slices[0].first, slices[-1].end) == (1_000, 2_000_000)
    assert [slice_.first for slice_ in slices[1:]] == [slice_.end for slice_ in slices[:-1]]


def test_a_slice_counts_what_became_of_each_message(lake: Lake) -> None:
    report = land_slice(log_of(some_of_everything()), lake, WHOLE)
    assert (report.read, report.landed, report.ignored, report.quarantined) == (8, 3, 1, 3)
    assert report.other_days == 1
    assert report.strays.rows() == [(utc("2025-12-29 00:00").date(), 12)]
    assert report.reasons == {"tombstone": 1, "not_utf8": 1, "bad_player_id": 1}
    assert report.samples == {"tombstone": None, "not_utf8": b"\xff\x00 no text at all", "bad_player_id": kill("")}


def test_only_its_own_offsets_are_read(lake: Lake) -> None:
    report = land_slice(log_of(some_of_everything()), lake, Slice(DAY, 5, 3, 10))
    assert (report.read, report.landed, report.quarantined) == (3, 1, 2)


def test_a_slice_leaves_one_object_of_each_kind_named_by_its_content(lake: Lake) -> None:
    report = land_slice(log_of(some_of_everything()), lake, WHOLE)
    raw, quarantine = report.objects
    assert (raw.kind, raw.rows) == ("raw", 3)
    assert (quarantine.kind, quarantine.rows) == ("quarantine", 3)
    for landed in report.objects:
        sha256 = hashlib.sha256(body_of(lake, landed.key)).hexdigest()
        assert landed.key == f"{landed.kind}/2025_12_30/5-2-20-{sha256[:12]}.parquet"
    assert sorted(stored(lake)) == sorted([raw.key, quarantine.key])


@pytest.mark.parametrize(
    ("messages", "kinds"),
    [
        ([], []),  # all compacted away
        ([at(2, "2025-12-30 12:00", b'{"event_type": "LOGIN"}')], []),
        ([at(2, "2025-12-30 12:00", kill(ts="2025-12-29T12:00:00Z"))], []),
        ([at(2, "2025-12-30 12:00")], ["raw"]),
        ([tombstone(2, "2025-12-30 12:00")], ["quarantine"]),
    ],
)
def test_no_object_is_left_where_there_is_nothing_to_put_in_it(
    lake: Lake, messages: list[Message], kinds: list[str]
) -> None:
    report = land_slice(log_of(messages), lake, WHOLE)
    assert [landed.kind for landed in report.objects] == kinds
    assert list(stored(lake)) == [landed.key for landed in report.objects]


def test_the_events_stand_in_the_lake_as_the_contract_has_them(lake: Lake) -> None:
    raw, _ = land_slice(log_of(some_of_everything()), lake, WHOLE).objects
    events = read_back(lake, raw.key)
    assert dict(events.schema) == {
        "event_time": pl.Datetime("us", "UTC"),
        "player_id": pl.String,
        "event_type": pl.String,
        "game_id": pl.String,
        "event_id": pl.String,
        "kafka_partition": pl.Int32,
        "kafka_offset": pl.Int64,
    }
    assert events.rows() == [
        (utc("2025-12-30 00:00:00"), "early", "KILL", None, None, 5, 2),
        (utc("2025-12-30 12:00:00.123456"), "ann", "DEATH", "g-1", "e-1", 5, 3),
        (utc("2025-12-30 12:00:03.500"), "böb", "KILL", None, None, 5, 10),
    ]


def test_what_could_not_be_read_stands_in_the_lake_as_received(lake: Lake) -> None:
    _, quarantine = land_slice(log_of(some_of_everything()), lake, WHOLE).objects
    refused = read_back(lake, quarantine.key)
    assert dict(refused.schema) == {
        "reason": pl.String,
        "value": pl.Binary,
        "kafka_partition": pl.Int32,
        "kafka_offset": pl.Int64,
        "kafka_timestamp": pl.Datetime("ms", "UTC"),
    }
    assert refused.rows() == [
        ("tombstone", None, 5, 4, utc("2025-12-30 12:00:01.234")),
        ("not_utf8", b"\xff\x00 no text at all", 5, 9, utc("2025-12-30 12:00:02")),
        ("bad_player_id", kill(""), 5, 19, utc("2025-12-30 12:00:06")),
    ]


def test_a_timestamp_that_no_calendar_knows_is_kept_in_quarantine(lake: Lake) -> None:
    # No `ts`, so its delivery would have to tell when it happened.
    log = log_of([off_the_calendar(2, 2**63 - 1, kill())])
    [quarantine] = land_slice(log, lake, WHOLE).objects
    refused = read_back(lake, quarantine.key)
    assert refused["reason"].to_list() == ["bad_ts"]
    assert refused["kafka_timestamp"].cast(pl.Int64).to_list() == [2**63 - 1]


def test_the_objects_are_zstd_and_other_readers_see_the_same_types(lake: Lake, tmp_path: Path) -> None:
    raw, quarantine = land_slice(log_of(some_of_everything()), lake, WHOLE).objects
    with duckdb.connect() as connection:
        types = []
        for landed in (raw, quarantine):
            file = tmp_path / f"{landed.kind}.parquet"
            file.write_bytes(body_of(lake, landed.key))
            columns = connection.execute(
                "SELECT DISTINCT compression FROM parquet_metadata($file)", {"file": str(file)}
            )
            assert columns.fetchall() == [("ZSTD",)]
            described = connection.execute("DESCRIBE SELECT * FROM read_parquet($file)", {"file": str(file)})
            types.append({row[0]: row[1] for row in described.fetchall()})
    assert types[0] == {
        "event_time": "TIMESTAMP WITH TIME ZONE",
        "player_id": "VARCHAR",
        "event_type": "VARCHAR",
        "game_id": "VARCHAR",
        "event_id": "VARCHAR",
        "kafka_partition": "INTEGER",
        "kafka_offset": "BIGINT",
    }
    assert types[1]["value"] == "BLOB"


def test_how_a_log_cuts_its_batches_makes_no_difference(lake: Lake) -> None:
    together = land_slice(log_of(some_of_everything()), lake, WHOLE)
    log = OneByOne({5: some_of_everything()})
    one_by_one = land_slice(log, lake, WHOLE)
    assert one_by_one.objects == together.objects
    [(max_messages, max_bytes)] = log.bounds
    assert 0 < max_messages <= 100_000
    assert 0 < max_bytes <= 64 * 1024 * 1024


def test_a_slice_landed_again_leaves_the_same_object(lake: Lake) -> None:
    land_slice(log_of(some_of_everything()), lake, WHOLE)
    first = stored(lake)
    land_slice(log_of(some_of_everything()), lake, WHOLE)
    assert stored(lake) == first


def test_what_goes_into_a_slice_and_comes_out_of_it_can_be_sent_to_another_process(lake: Lake) -> None:
    slice_ = pickle.loads(pickle.dumps(WHOLE))  # noqa: S301
    report = land_slice(log_of(some_of_everything()), lake, slice_)
    received = pickle.loads(pickle.dumps(report))  # noqa: S301
    assert received.slice == WHOLE
    assert received.objects == report.objects
    assert received.strays.equals(report.strays)


def test_the_repeated_deliveries_of_an_event_all_stand_in_the_raw_objects(lake: Lake) -> None:
    log = log_of([at(offset, "2025-12-30 12:00", kill(event_id="e-1")) for offset in (2, 3, 4)])
    [raw] = land_slice(log, lake, WHOLE).objects
    assert read_back(lake, raw.key)["kafka_offset"].to_list() == [2, 3, 4]


def test_the_offsets_that_hold_no_message_are_counted_as_gaps(lake: Lake) -> None:
    account = land(log_of(some_of_everything()), lake).manifest.account(5)
    assert account is not None
    assert (account.first, account.end, account.read, account.gaps) == (2, 20, 8, 10)


def named(report: SliceReport) -> list[tuple[str, str, int]]:
    """Kind, offsets as the object's name has them, and rows."""
    return [
        (landed.kind, "-".join(landed.key.rpartition("/")[2].split("-")[1:3]), landed.rows) for landed in report.objects
    ]


def test_a_slice_of_more_bytes_than_are_kept_is_stored_as_several_objects_with_adjoining_offsets(lake: Lake) -> None:
    # 37 messages of 900 kB fit into 32 MiB.
    report = land_slice(Wide(100), lake, Slice(DAY, 0, 0, 100))
    assert named(report) == [
        ("raw", "0-37", 19),
        ("quarantine", "0-37", 18),
        ("raw", "37-74", 18),
        ("quarantine", "37-74", 19),
        ("raw", "74-100", 13),
        ("quarantine", "74-100", 13),
    ]
    assert (report.read, report.landed, report.quarantined) == (100, 50, 50)
    for kind, step in (("raw", 0), ("quarantine", 1)):
        offsets = [read_back(lake, landed.key)["kafka_offset"] for landed in report.objects if landed.kind == kind]
        assert pl.concat(offsets).to_list() == list(range(step, 100, 2))


@pytest.mark.trial
def test_a_slice_that_fits_is_one_object_however_its_batches_are_cut(lake: Lake) -> None:
    slice_ = Slice(DAY, 0, 0, 37)
    together = land_slice(Wide(37), lake, slice_)
    assert [offsets for _, offsets, _ in named(together)] == ["0-37", "0-37"]
    for at_once in (1, 5, 36):
        assert land_slice(Wide(37, at_once), lake, slice_).objects == together.objects


def test_a_day_of_many_objects_a_slice_balances(lake: Lake) -> None:
    manifest = land(Wide(80), lake).manifest
    assert len(manifest.objects) == 6
    assert {
        kind: sum(each.rows for each in manifest.objects if each.kind == kind) for kind in ("raw", "quarantine")
    } == {
        "raw": 40,
        "quarantine": 40,
    }
    ensure_whole(lake)


def test_a_message_wider_than_all_that_is_kept_has_an_object_of_its_own(lake: Lake) -> None:
    wide = b"\xff".ljust(40 * 1024 * 1024)
    messages = [
        at(2, "2025-12-30 12:00"),
        at(5, "2025-12-30 12:01", wide),
        at(9, "2025-12-30 12:02"),
        at(11, "2025-12-30 12:03"),
    ]
    report = land_slice(OneByOne({5: messages}), lake, WHOLE)
    assert named(report) == [("raw", "2-3", 1), ("quarantine", "3-6", 1), ("raw", "6-20", 2)]
    assert read_back(lake, report.objects[1].key)["value"].to_list() == [wide]
    assert (report.reasons, report.samples) == ({"not_utf8": 1}, {"not_utf8": wide})


PEAK_OF_A_SLICE = """
import pickle, re, sys
from pathlib import Path
from game_analytics.landing.slices import land_slice
report = land_slice(*pickle.load(sys.stdin.buffer))
print(report.read, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def peak_mib(lake: Lake, messages: int) -> float:
    """What a process of its own needs at most to land so many messages of 900 kB."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PEAK_OF_A_SLICE],
        input=pickle.dumps((Wide(messages), lake, Slice(DAY, 0, 0, messages))),
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    read, kib = map(int, done.stdout.split())
    assert read == messages
    return kib / 1024


@pytest.mark.trial
def test_ten_times_as_many_bytes_need_hardly_more_memory(lake_on_s3: LakeResource) -> None:
    lake = lake_on_s3.open()
    small, large = peak_mib(lake, 45), peak_mib(lake, 450)
    assert large - small < 150, f"{small:.0f} MiB for 40 MB, {large:.0f} MiB for 400 MB"


AS_LANDED = """
import hashlib
import polars as pl
from game_analytics.lake.bucket import to_parquet
frame = pl.DataFrame({"player_id": [f"p{number % 977}" for number in range(150_000)]})
print(hashlib.sha256(to_parquet(frame.lazy().filter(pl.col("player_id") != "p7").collect())).hexdigest())
"""


@pytest.mark.trial
def test_the_number_of_threads_makes_no_difference_to_the_bytes() -> None:
    hashes = {
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", AS_LANDED],
            env={**os.environ, "POLARS_MAX_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in (1, 3, 8)
    }
    assert len(hashes) == 1
