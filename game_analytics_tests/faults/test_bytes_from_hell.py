"""Arbitrary bytes in a topic: no message stops or delays a landing or gets lost, and each is classified as by the slow
reference decoder, both by the rules and in the lake."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from game_analytics.lake.bucket import Lake
from game_analytics.lake.manifest import Manifest
from game_analytics_tests.support.batches import NOON_MS, fates, word
from game_analytics_tests.support.listed_log import ListedLog, Message
from game_analytics_tests.support.nasty_messages import FAMILIES, FIELDS, corpus, truncated, valid_messages
from game_analytics_tests.support.odd_messages import MESSAGES, events
from game_analytics_tests.support.reference_decoder import (
    Fate,
    Ignored,
    Landed,
    OtherDay,
    Quarantined,
    fate_of,
)
from game_analytics_tests.support.samples import DAY, account_of, body_of, land, standing, utc

Values = Sequence[bytes | None]
Trial = Callable[[str, object], None]

PARTITIONS = 3
SECONDS_AT_MOST = 20.0
"""At least ten times the time of the slowest family here; quadratic decoding would take hours."""

_WORKED_OUT_ALREADY: dict[str, tuple[Values, list[Fate]]] = {}


def named(family: Callable[[], Iterator[bytes | None]]) -> str:
    return family.__name__.removeprefix("of_").replace("_", " ")


def of_family(family: Callable[[], Iterator[bytes | None]]) -> tuple[Values, list[Fate]]:
    """A family's messages with the reference decoder's results, all delivered at noon."""
    name = named(family)
    if name not in _WORKED_OUT_ALREADY:
        values = corpus(family)
        _WORKED_OUT_ALREADY[name] = values, [expected(value, NOON_MS) for value in values]
    return _WORKED_OUT_ALREADY[name]


def expected(value: bytes | None, delivered_ms: int) -> Fate:
    return fate_of(value, delivered_ms, DAY.year, DAY.month, DAY.day)


def dealt(values: Values) -> ListedLog:
    """The messages dealt to the partitions, all delivered at noon; each eleventh offset is a gap."""
    partitions: dict[int, list[Message]] = {partition: [] for partition in range(PARTITIONS)}
    for number, value in enumerate(values):
        held = partitions[number % PARTITIONS]
        held.append(Message(len(held) + len(held) // 10, utc("2025-12-30 12:00"), value))
    return ListedLog(partitions)


Row = tuple[object, ...]


def rows_of(lake: Lake, manifest: Manifest, kind: str) -> dict[tuple[int, int], Row]:
    """The rows of the objects that the manifest lists, by partition and offset, with times as integers."""
    found: dict[tuple[int, int], Row] = {}
    for listed in manifest.objects:
        if listed.kind != kind:
            continue
        rows = pl.read_parquet(body_of(lake, listed.key)).with_columns(pl.selectors.datetime().cast(pl.Int64))
        assert rows.height == listed.rows
        for row in rows.iter_rows(named=True):
            place = (row.pop("kafka_partition"), row.pop("kafka_offset"))
            assert place not in found
            found[place] = tuple(row.values())
    return found


def ensure_landed_as_decided(lake: Lake, values: Values, decided: Sequence[Fate]) -> None:
    """Land the messages, read everything back, and compare with the expected results."""
    log = dealt(values)
    land(log, lake)
    manifest = standing(lake)
    fate_at = {
        (number % PARTITIONS, log.partitions[number % PARTITIONS][number // PARTITIONS].offset): (value, fate)
        for number, (value, fate) in enumerate(zip(values, decided, strict=True))
    }
    landed = {
        place: (fate.event_time_us, fate.player_id, fate.event_type, fate.game_id, fate.event_id)
        for place, (_, fate) in fate_at.items()
        if isinstance(fate, Landed)
    }
    assert rows_of(lake, manifest, "raw") == landed
    quarantined = {
        place: (fate.reason, value, NOON_MS)
        for place, (value, fate) in fate_at.items()
        if isinstance(fate, Quarantined)
    }
    assert rows_of(lake, manifest, "quarantine") == quarantined
    assert manifest.total()["read"] == len(values)
    for partition, held in log.partitions.items():
        of_kind = Counter(type(fate) for (of, _), (_, fate) in fate_at.items() if of == partition)
        account = account_of(manifest, partition)
        assert account.end - account.first == account.read + account.gaps
        assert (account.read, account.end) == (len(held), held[-1].offset + 1 if held else 0)
        assert (account.landed, account.quarantined) == (of_kind[Landed], of_kind[Quarantined])
        assert (account.ignored, account.other_days) == (of_kind[Ignored], of_kind[OtherDay])


@pytest.mark.trial
@pytest.mark.parametrize("family", FAMILIES, ids=named)
def test_no_message_crashes_hangs_or_is_classified_differently_from_the_reference(
    lake: Lake, family: Callable[[], Iterator[bytes | None]], record_property: Trial
) -> None:
    values, decided = of_family(family)
    started = time.monotonic()
    assert fates(values) == decided
    assert time.monotonic() - started < SECONDS_AT_MOST
    ensure_landed_as_decided(lake, values, decided)
    seen = Counter("landed" if isinstance(fate, Landed) else word(fate) for fate in decided)
    counts = ", ".join(f"{count:,} {reason}" for reason, count in seen.most_common(4))
    record_property("trial", f"bytes from hell, {named(family)}: {len(values):,} messages ({counts}, …), none amiss")


def test_there_are_more_than_39_000_different_messages_in_all() -> None:
    assert len({value for family in FAMILIES for value in corpus(family)}) > 39_000


@pytest.mark.parametrize("size", [1, 3, 64, 65])
def test_neighbours_in_a_batch_do_not_change_a_messages_class(size: int) -> None:
    """A valid message beside any other lands, and the other is classified as it is alone."""
    values, decided = of_family(truncated)
    good = valid_messages()[0]
    mixed = [each for value in values[:300] for each in [value, *[good] * size]]
    kept = [each for fate in decided[:300] for each in [fate, *[expected(good, NOON_MS)] * size]]
    assert fates(mixed) == kept


# Random messages

TOKENS = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"0", b"-", b"\n", b"\x00", b"\x7f", b"\xff", b"\xc3", b"null"),
    *(
        b"\\u0000",
        b"\\ud83d",
        b"\\ude00",
        b"\xed\xa0\xbd",
        b"\xef\xbb\xbf",
        b"\xf0\x9f\x98\x80",
        b"1e999",
        b"NaN",
        b"//",
    ),
    *(b'"ts":"2025-12-30T24:00:00Z",', b'"player_id":null,', b'"event_type":7,', b"[" * 64, b'"event_id":"",'),
]
Change = tuple[int, int, int, int]
CHANGES = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 10_000), st.integers(1, 40), st.integers(0, len(TOKENS) - 1)),
    min_size=1,
    max_size=4,
)


def changed(message: bytes, changes: list[Change]) -> bytes:
    """Bytes flipped, removed, doubled, moved, inserted or replaced."""
    for kind, place, length, number in changes:
        at = place % (len(message) + 1)
        before, piece, after = message[:at], message[at : at + length], message[at + length :]
        message = [
            before + bytes(byte ^ 1 << number % 8 for byte in piece) + after,
            before + after,
            before + piece * 2 + after,
            after + before + piece,
            before + TOKENS[number] + piece + after,
            before + TOKENS[number] + after,
        ][kind]
    return message


KEYS = st.sampled_from(FIELDS) | st.text(max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(KEYS, inside, max_size=4),
    max_leaves=8,
)
WRITTEN = st.tuples(JSON, st.booleans()).map(
    lambda drawn: json.dumps(drawn[0], ensure_ascii=drawn[1]).encode("utf-8", "surrogatepass")
)

PATIENT = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.trial
def test_random_messages_are_classified_as_by_the_reference_and_land_so(lake: Lake, record_property: Trial) -> None:
    decided: dict[bytes | None, Fate] = {}

    @settings(PATIENT, max_examples=400)
    @given(
        st.lists(events().map(str.encode) | WRITTEN, max_size=2),
        st.lists(CHANGES, min_size=4, max_size=8),
        st.lists(events().map(str.encode) | MESSAGES, min_size=4, max_size=12),
    )
    def same(drawn: list[bytes], changes: list[list[Change]], others: list[bytes | None]) -> None:
        whole = [*valid_messages(), *drawn]
        more = [one + other for one, other in pairwise(changes)]
        values = [*whole, *others, *(changed(message, each) for message in whole for each in changes + more)]
        by_reference = [expected(value, NOON_MS) for value in values]
        assert fates(values) == by_reference
        decided.update(zip(values, by_reference, strict=True))

    same()
    ensure_landed_as_decided(lake, list(decided), list(decided.values()))
    kinds = Counter(map(word, decided.values()))
    assert len(decided) > 4_000
    assert len(kinds) >= 12  # of the three classes and eleven reasons
    record_property("trial", f"bytes from hell, by chance: {len(decided):,} messages, {len(kinds)} kinds, none amiss")


# The reference itself, where it relies on Python

_UTF_8 = re.compile(
    rb"(?:[\x00-\x7f]++|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    rb"|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*+"
)
"""The table of RFC 3629, section 4."""


@pytest.mark.trial
def test_the_reference_calls_no_utf_8_what_the_table_of_its_rfc_leaves_out() -> None:
    for family in FAMILIES:
        values, decided = of_family(family)
        for value, fate in zip(values, decided, strict=True):
            is_utf_8 = value is None or _UTF_8.fullmatch(value) is not None
            first_bytes_decide = {Quarantined("compressed"), Quarantined("avro_or_protobuf")}
            if fate not in first_bytes_decide and not (value or b"").startswith(b"\0"):
                assert (fate != Quarantined("not_utf8")) == is_utf_8, value
