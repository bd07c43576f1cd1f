"""A day's receipt: it reads as it was written, equal ones are equal bytes, and an account that doesn't balance is told
sum by sum."""

import json
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.manifest import Account, LandedObject, Manifest, Unbalanced, ensure_balanced
from game_analytics.rules.days import Window

KEY = "raw/manifests/2025_12_30.json"


def a_manifest() -> Manifest:
    """Two partitions, one with gaps, one idle; three objects; some events came too late."""
    return Manifest(
        version=2,
        day=date(2025, 12, 30),
        topic="game-events",
        topic_id="GdMAs0cvSpKW0pFXf9MzCg",
        cluster_id="5L6g3nShT-eMCtK--X86sw",
        window=Window(start=datetime(2025, 12, 29, 23, 55, tzinfo=UTC), end=datetime(2025, 12, 31, 1, 0, tzinfo=UTC)),
        window_closed=True,
        partitions=[
            Account(
                partition=0,
                first=1_000,
                end=1_100,
                next_day_first=1_090,
                read=97,
                gaps=3,
                landed=80,
                ignored=10,
                other_days=5,
                quarantined=2,
            ),
            Account(
                partition=1,
                first=500,
                end=500,
                next_day_first=500,
                read=0,
                gaps=0,
                landed=0,
                ignored=0,
                other_days=0,
                quarantined=0,
            ),
        ],
        objects=[
            LandedObject("raw/2025_12_30/0-1000-1050-aaaaaaaaaaaa.parquet", "raw", 50, 1_900),
            LandedObject("raw/2025_12_30/0-1050-1100-bbbbbbbbbbbb.parquet", "raw", 30, 1_300),
            LandedObject("quarantine/2025_12_30/0-1000-1050-cccccccccccc.parquet", "quarantine", 2, 800),
        ],
        missed={"2025-12-28": 12, "2025-12-29": 1},
    )


def as_document() -> dict[str, Any]:
    """The same as the contract shows it, written by hand."""
    return {
        "version": 2,
        "day": "2025-12-30",
        "topic": "game-events",
        "topic_id": "GdMAs0cvSpKW0pFXf9MzCg",
        "cluster_id": "5L6g3nShT-eMCtK--X86sw",
        "window": {"start": "2025-12-29T23:55:00Z", "end": "2025-12-31T01:00:00Z"},
        "window_closed": True,
        "partitions": [
            {
                "partition": 0,
                "first": 1000,
                "end": 1100,
                "next_day_first": 1090,
                "read": 97,
                "gaps": 3,
                "landed": 80,
                "ignored": 10,
                "other_days": 5,
                "quarantined": 2,
            },
            {
                "partition": 1,
                "first": 500,
                "end": 500,
                "next_day_first": 500,
                "read": 0,
                "gaps": 0,
                "landed": 0,
                "ignored": 0,
                "other_days": 0,
                "quarantined": 0,
            },
        ],
        "objects": [
            {"key": "raw/2025_12_30/0-1000-1050-aaaaaaaaaaaa.parquet", "kind": "raw", "rows": 50, "bytes": 1900},
            {"key": "raw/2025_12_30/0-1050-1100-bbbbbbbbbbbb.parquet", "kind": "raw", "rows": 30, "bytes": 1300},
            {
                "key": "quarantine/2025_12_30/0-1000-1050-cccccccccccc.parquet",
                "kind": "quarantine",
                "rows": 2,
                "bytes": 800,
            },
        ],
        "missed": {"2025-12-28": 12, "2025-12-29": 1},
    }


# Written and read


def test_a_manifest_is_the_contracts_document_field_by_field_in_its_order() -> None:
    written = a_manifest().to_json()
    assert json.loads(written) == as_document()
    assert json.loads(written, object_pairs_hook=list) == json.loads(json.dumps(as_document()), object_pairs_hook=list)


def test_a_manifest_reads_as_it_was_written() -> None:
    assert Manifest.from_json(a_manifest().to_json(), KEY) == a_manifest()


def test_a_manifest_written_by_other_hands_reads_the_same() -> None:
    assert Manifest.from_json(json.dumps(as_document(), indent=4, sort_keys=True).encode(), KEY) == a_manifest()
    assert Manifest.from_json(json.dumps({**as_document(), "note": "further field"}).encode(), KEY) == a_manifest()


def test_equal_manifests_are_equal_bytes() -> None:
    first, second = a_manifest(), a_manifest()
    assert first.to_json() == second.to_json() == Manifest.from_json(first.to_json(), KEY).to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"day": date(2025, 12, 31)},
        {"topic": "other"},
        {"window_closed": False},
        {"missed": {}},
        {"objects": []},
        {"partitions": []},
    ],
)
def test_manifests_that_differ_are_different_bytes(change: dict[str, Any]) -> None:
    assert msgspec.structs.replace(a_manifest(), **change).to_json() != a_manifest().to_json()


def test_a_manifest_can_be_read_by_a_person() -> None:
    lines = a_manifest().to_json().decode().split("\n")
    assert ' "day": "2025-12-30",' in lines
    assert lines[-1] == ""  # the last line is ended
    assert max(map(len, lines)) < 100


COUNTS = st.integers(0, 2**63 - 1)
ACCOUNTS = st.builds(Account, *[COUNTS] * 10)
OBJECTS = st.builds(LandedObject, st.text(max_size=20), st.sampled_from(["raw", "quarantine"]), COUNTS)
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone
MANIFESTS = st.builds(
    Manifest,
    version=st.just(1),
    day=st.dates(),
    topic=st.text(),
    window=st.builds(Window, MOMENTS, MOMENTS),
    window_closed=st.booleans(),
    partitions=st.lists(ACCOUNTS, max_size=3),
    objects=st.lists(OBJECTS, max_size=3),
    missed=st.dictionaries(st.dates().map(str), COUNTS, max_size=3),
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(MANIFESTS)
def test_any_manifest_reads_as_it_was_written(manifest: Manifest) -> None:
    again = Manifest.from_json(manifest.to_json(), KEY)
    assert again == manifest
    assert again.to_json() == manifest.to_json()


def unreadable_manifests() -> list[bytes]:
    document = as_document()
    without_topic = {name: value for name, value in document.items() if name != "topic"}
    whole = a_manifest().to_json()
    return [
        b"",
        b"{",
        whole[: len(whole) // 2],  # cut off
        whole + b"x",
        whole[:20] + b"\xff" + whole[20:],  # no UTF-8
        whole.replace(b"game-events", b"game-\xe9vents"),
        b"null",
        b"[]",
        b"{}",
        b"PAR1",
        b"<Error><Code>NoSuchKey</Code></Error>",
        json.dumps(without_topic).encode(),
        json.dumps({**document, "day": "2025-02-30"}).encode(),
        json.dumps({**document, "day": 20251230}).encode(),
        json.dumps({**document, "window": {"start": "yesterday", "end": "today"}}).encode(),
        json.dumps({**document, "window_closed": "yes"}).encode(),
        json.dumps({**document, "partitions": {}}).encode(),
        json.dumps({**document, "partitions": [{"partition": 0}]}).encode(),
        json.dumps({**document, "objects": [{"key": "k", "kind": "parquet", "rows": 1}]}).encode(),  # no such kind
        json.dumps({**document, "objects": [{"key": "k", "kind": "raw", "rows": 1.5}]}).encode(),
        json.dumps({**document, "missed": {"2025-12-29": "12"}}).encode(),
        json.dumps({**document, "missed": None}).encode(),
    ]


@pytest.mark.parametrize("content", unreadable_manifests(), ids=lambda content: repr(content)[:30])
def test_what_is_no_manifest_is_named_with_the_way_out(content: bytes) -> None:
    with pytest.raises(
        GameAnalyticsError, match=r"raw/manifests/2025_12_30\.json is no manifest \(.*land the day again"
    ):
        Manifest.from_json(content, KEY)


@pytest.mark.parametrize("version", [0, 3, 99])
def test_a_manifest_of_another_version_is_not_read_as_if_it_were_known(version: int) -> None:
    content = json.dumps({**as_document(), "version": version}).encode()
    with pytest.raises(
        GameAnalyticsError, match=rf"2025_12_30\.json has version {version}, this package knows 2\. Upgrade the package"
    ):
        Manifest.from_json(content, KEY)


# Looked into


def test_an_account_is_found_by_its_partition() -> None:
    manifest = a_manifest()
    found = [manifest.account(partition) for partition in (0, 1, 2)]
    assert found == [manifest.partitions[0], manifest.partitions[1], None]


def test_keys_and_rows_go_by_kind() -> None:
    manifest = a_manifest()
    assert manifest.keys("raw") == [
        "raw/2025_12_30/0-1000-1050-aaaaaaaaaaaa.parquet",
        "raw/2025_12_30/0-1050-1100-bbbbbbbbbbbb.parquet",
    ]
    assert manifest.keys("quarantine") == ["quarantine/2025_12_30/0-1000-1050-cccccccccccc.parquet"]
    assert (manifest.rows("raw"), manifest.rows("quarantine")) == (80, 2)


def test_the_total_is_the_sum_over_the_partitions() -> None:
    manifest = a_manifest()
    twice = msgspec.structs.replace(manifest, partitions=[manifest.partitions[0]] * 2)
    assert twice.total() == {
        "read": 194,
        "gaps": 6,
        "landed": 160,
        "ignored": 20,
        "other_days": 10,
        "quarantined": 4,
    }


# The account


def test_an_account_that_balances_passes_and_so_does_an_empty_day() -> None:
    ensure_balanced(a_manifest())
    ensure_balanced(msgspec.structs.replace(a_manifest(), partitions=[a_manifest().partitions[1]], objects=[]))
    ensure_balanced(msgspec.structs.replace(a_manifest(), partitions=[], objects=[]))


def with_account(**change: int) -> Manifest:
    manifest = a_manifest()
    first, second = manifest.partitions
    return msgspec.structs.replace(manifest, partitions=[msgspec.structs.replace(first, **change), second])


def with_rows(*rows: int) -> Manifest:
    manifest = a_manifest()
    objects = [
        msgspec.structs.replace(landed, rows=count) for landed, count in zip(manifest.objects, rows, strict=False)
    ]
    return msgspec.structs.replace(manifest, objects=objects)


READ = "partition 0: read = landed + ignored + other_days + quarantined"
SPAN = "partition 0: end - first = read + gaps"
RAW = "rows of raw objects = landed"
QUARANTINE = "rows of quarantine objects = quarantined"


def accounts_that_do_not_balance() -> list[tuple[Manifest, list[str]]]:
    """And what is said of each, one sentence for each sum."""
    return [
        (with_account(ignored=9), [f"{READ}: 97 is not 96"]),
        (with_account(other_days=6), [f"{READ}: 97 is not 98"]),
        (with_account(gaps=2), [f"{SPAN}: 100 is not 99"]),
        (with_account(end=1_101), [f"{SPAN}: 101 is not 100"]),
        (with_account(first=-4_000), [f"{SPAN}: 5,100 is not 100"]),
        (with_account(read=96), [f"{SPAN}: 100 is not 99", f"{READ}: 96 is not 97"]),
        # A class that is in the objects too is wrong in two places, unless another class makes up for it in one.
        (with_account(landed=81), [f"{READ}: 97 is not 98", f"{RAW}: 80 is not 81"]),
        (with_account(landed=81, ignored=9), [f"{RAW}: 80 is not 81"]),
        (with_account(quarantined=1, ignored=11), [f"{QUARANTINE}: 2 is not 1"]),
        (with_rows(50, 29, 2), [f"{RAW}: 79 is not 80"]),
        (with_rows(50, 30, 3), [f"{QUARANTINE}: 3 is not 2"]),
        (with_rows(50, 30), [f"{QUARANTINE}: 0 is not 2"]),  # an object is not listed
        (with_rows(), [f"{RAW}: 0 is not 80", f"{QUARANTINE}: 0 is not 2"]),
    ]


@pytest.mark.parametrize(("manifest", "sums"), accounts_that_do_not_balance())
def test_each_sum_that_does_not_come_out_is_named_and_no_other(manifest: Manifest, sums: list[str]) -> None:
    with pytest.raises(Unbalanced) as refusal:
        ensure_balanced(manifest)
    message = str(refusal.value)
    assert message.startswith(f"The account of 2025-12-30 does not balance: {'; '.join(sums)}. Nothing was committed")


def test_partitions_whose_faults_make_up_for_each_other_are_both_named() -> None:
    manifest = a_manifest()
    one_less = msgspec.structs.replace(manifest.partitions[0], read=96, gaps=4, landed=80)
    one_more = msgspec.structs.replace(manifest.partitions[0], partition=1, read=98, gaps=2, landed=80)
    with pytest.raises(Unbalanced) as refusal:
        ensure_balanced(
            msgspec.structs.replace(manifest, partitions=[one_less, one_more], objects=manifest.objects * 2)
        )
    assert "partition 0: read = landed + ignored + other_days + quarantined: 96 is not 97" in str(refusal.value)
    assert "partition 1: read = landed + ignored + other_days + quarantined: 98 is not 97" in str(refusal.value)
    assert "end - first" not in str(refusal.value)
    assert "objects" not in str(refusal.value)
