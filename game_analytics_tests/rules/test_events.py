"""The contract's table of fields: a message's class, and the first reason for quarantine.

JSON is tested in `test_events_json`, timestamps in `test_events_time`.
"""

import gzip
import json
from datetime import UTC, date, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from game_analytics.rules.events import classify
from game_analytics.sources.formats.json import decode
from game_analytics_tests.support.batches import DAY, batch, fate, fates, kill, kill_with, shown, words
from game_analytics_tests.support.event_samples import good_names, messages_with_a_repeated_key
from game_analytics_tests.support.reference_decoder import Landed, OtherDay, Quarantined

JSON = decode

NAMES = ["player_id", "game_id", "event_id"]
OPTIONAL_NAMES = ["game_id", "event_id"]


def one_message_for_each_reason() -> dict[str, bytes | None]:
    """In the contract's order."""
    return {
        "tombstone": None,
        "compressed": gzip.compress(b'{"event_type":"KILL","player_id":"p00017"}', mtime=0),
        "avro_or_protobuf": b"\x00\x00\x00\x00\x07\x08KILL\x0cp00017",
        "not_utf8": b'{"event_type":"KILL","player_id":"Jos\xe9"}',
        "not_json": b'{"event_type":"KILL","player_id":"p0',
        "batch": b'[{"event_type":"KILL","player_id":"p00017"}]',
        "not_an_object": b'"KILL"',
        "missing_event_type": b'{"player_id":"p00017"}',
        "bad_event_type": b'{"event_type":7,"player_id":"p00017"}',
        "missing_player_id": b'{"event_type":"KILL"}',
        "bad_player_id": b'{"event_type":"KILL","player_id":""}',
        "bad_game_id": b'{"event_type":"KILL","player_id":"p00017","game_id":7}',
        "bad_event_id": b'{"event_type":"KILL","player_id":"p00017","event_id":[]}',
        "bad_ts": b'{"event_type":"KILL","player_id":"p00017","ts":"yesterday"}',
    }


# The four classes, with all their columns


def a_batch_of_every_class() -> pl.DataFrame:
    return batch(
        [
            b'{"event_type":"KILL","player_id":"p00017","game_id":"g7","event_id":"e1","ts":"2025-12-30T18:07:12.5Z"}',
            None,  # a tombstone
            b'{"event_type":"ASSIST","player_id":"p00042"}',
            b'{"event_type":"DEATH","player_id":"p00023","ts":"2025-12-29T23:59:59Z"}',  # a late one
            b'{"event_type":"DEATH","player_id":"p00023"}',  # without optional fields
            b"oops",
        ]
    )


def test_what_lands_has_the_columns_of_a_raw_file() -> None:
    expected = pl.DataFrame(
        {
            "event_time": [
                datetime(2025, 12, 30, 18, 7, 12, 500_000, tzinfo=UTC),
                datetime(2025, 12, 30, 12, tzinfo=UTC),  # when it was delivered
            ],
            "player_id": ["p00017", "p00023"],
            "event_type": ["KILL", "DEATH"],
            "game_id": ["g7", None],
            "event_id": ["e1", None],
            "kafka_partition": [3, 3],
            "kafka_offset": [1000, 1004],
        },
        schema={
            "event_time": pl.Datetime("us", "UTC"),
            "player_id": pl.String,
            "event_type": pl.String,
            "game_id": pl.String,
            "event_id": pl.String,
            "kafka_partition": pl.Int32,
            "kafka_offset": pl.Int64,
        },
    )
    assert_frame_equal(classify(a_batch_of_every_class(), 3, DAY, decode=JSON).landed, expected)


def test_what_is_quarantined_has_its_bytes_as_received_its_place_and_its_timestamp() -> None:
    noon = datetime(2025, 12, 30, 12, tzinfo=UTC)
    expected = pl.DataFrame(
        {
            "reason": ["tombstone", "not_json"],
            "value": [None, b"oops"],
            "kafka_partition": [3, 3],
            "kafka_offset": [1001, 1005],
            "kafka_timestamp": [noon, noon],
        },
        schema={
            "reason": pl.String,
            "value": pl.Binary,
            "kafka_partition": pl.Int32,
            "kafka_offset": pl.Int64,
            "kafka_timestamp": pl.Datetime("ms", "UTC"),
        },
    )
    assert_frame_equal(classify(a_batch_of_every_class(), 3, DAY, decode=JSON).quarantined, expected)


def test_ignored_events_are_counted_and_events_of_other_days_keep_day_and_offset() -> None:
    sorted_out = classify(a_batch_of_every_class(), 3, DAY, decode=JSON)
    assert sorted_out.ignored.rows() == [("ASSIST", 1002)]
    expected = pl.DataFrame(
        {"day": [date(2025, 12, 29)], "kafka_offset": [1003]}, schema={"day": pl.Date, "kafka_offset": pl.Int64}
    )
    assert_frame_equal(sorted_out.other_days, expected)


def test_an_empty_batch_has_the_same_columns_as_a_full_one() -> None:
    empty, full = classify(batch([]), 3, DAY, decode=JSON), classify(a_batch_of_every_class(), 3, DAY, decode=JSON)
    assert_frame_equal(empty.landed, full.landed.clear())
    assert_frame_equal(empty.quarantined, full.quarantined.clear())
    assert_frame_equal(empty.other_days, full.other_days.clear())
    assert_frame_equal(empty.ignored, full.ignored.clear())
    assert empty.times == {"with_offset": 0, "without_offset": 0, "displaced": 0}


def test_a_batch_of_tombstones_alone_is_quarantined() -> None:
    assert words([None, None, None]) == ["tombstone"] * 3


# Reasons and their order


@pytest.mark.parametrize(("reason", "value"), one_message_for_each_reason().items(), ids=shown)
def test_a_bad_message_is_quarantined_and_the_good_ones_beside_it_land(reason: str, value: bytes | None) -> None:
    long = kill(note="x" * 1_000)
    assert fate(value) == reason
    assert words([kill(), value, kill(), value, long]) == ["landed", reason, "landed", reason, "landed"]


def test_all_kinds_of_trouble_in_one_batch_keep_their_own_reasons() -> None:
    bad = one_message_for_each_reason()
    values = [value for bad_one in bad.values() for value in (kill(), bad_one)]
    assert words(values) == [found for reason in bad for found in ("landed", reason)]


@pytest.mark.parametrize("day", [date(2025, 12, 29), date(2025, 12, 30), date(1970, 1, 1)])
def test_a_bad_message_is_quarantined_whatever_the_day(day: date) -> None:
    bad = one_message_for_each_reason()
    assert fates(list(bad.values()), day=day) == [Quarantined(reason) for reason in bad]


def messages_healed_fault_by_fault() -> list[tuple[bytes, str]]:
    """The first message has every fault; each further one lacks the fault for which the one before was quarantined."""
    return [
        (b'[{"event_type":7,"note":"\xff"', "not_utf8"),
        (b'[{"event_type":7', "not_json"),
        (b'[{"event_type":7}]', "batch"),
        (b'"KILL"', "not_an_object"),
        (b'{"player_id":"","game_id":"","event_id":"","ts":""}', "missing_event_type"),
        (b'{"event_type":7,"player_id":"","game_id":"","event_id":"","ts":""}', "bad_event_type"),
        (b'{"event_type":"KILL","game_id":"","event_id":"","ts":""}', "missing_player_id"),
        (b'{"event_type":"KILL","player_id":"","game_id":"","event_id":"","ts":""}', "bad_player_id"),
        (b'{"event_type":"KILL","player_id":"p","game_id":"","event_id":"","ts":""}', "bad_game_id"),
        (b'{"event_type":"KILL","player_id":"p","game_id":"g","event_id":"","ts":""}', "bad_event_id"),
        (b'{"event_type":"KILL","player_id":"p","game_id":"g","event_id":"e","ts":""}', "bad_ts"),
        (b'{"event_type":"KILL","player_id":"p","game_id":"g","event_id":"e","ts":null}', "landed"),
    ]


@pytest.mark.parametrize(("value", "expected"), messages_healed_fault_by_fault(), ids=shown)
def test_of_several_faults_the_first_is_the_reason(value: bytes, expected: str) -> None:
    assert fate(value) == expected


# Event types


def event_types_that_are_ignored() -> list[str]:
    return [
        "ASSIST",
        "",
        "kill",  # case counts
        "Death",
        "KILL ",  # and so does space
        "\tKILL",
        "KILL\x00",
        "\u041aILL",  # a Cyrillic K
        "\uff2b\uff29\uff2c\uff2c",
        "x" * 1_000,
        "\x00",
    ]


@pytest.mark.parametrize("event_type", event_types_that_are_ignored(), ids=shown)
def test_any_other_event_type_is_a_legal_event_that_is_ignored(event_type: str) -> None:
    assert fate(kill(event_type=event_type)) == "ignored"


def test_the_fields_of_an_ignored_event_are_not_looked_at() -> None:
    bad = {"player_id": 7, "game_id": "", "event_id": ["a"], "ts": "yesterday"}
    assert fate(json.dumps({"event_type": "ASSIST", **bad}).encode()) == "ignored"
    assert fate(b'{"event_type":"ASSIST"}') == "ignored"
    assert fate(kill(event_type="ASSIST", ts="2025-12-29T12:00:00Z")) == "ignored"


def ignored_events_that_cannot_be_read() -> list[tuple[bytes, str]]:
    return [
        (b'{"event_type":"ASSIST","player_id":"Jos\xe9"}', "not_utf8"),
        (b'{"event_type":"ASSIST"', "not_json"),
        (b'{"event_type":"ASSIST","damage":-NaN}', "not_json"),
        (b'{"event_type":"ASSIST","bag":' + b"[" * 64 + b"]" * 64 + b"}", "not_json"),
        (b'["ASSIST"]', "batch"),
        (b'"ASSIST"', "not_an_object"),
    ]


@pytest.mark.parametrize(("value", "reason"), ignored_events_that_cannot_be_read(), ids=shown)
def test_an_event_of_another_type_is_quarantined_if_it_cannot_be_read(value: bytes, reason: str) -> None:
    assert fate(value) == reason


@pytest.mark.parametrize("event_type", ["7", "7.5", "true", "false", "[]", '["KILL"]', "{}", '{"KILL":1}', "1e999"])
def test_an_event_type_that_is_not_a_string_is_bad(event_type: str) -> None:
    assert fate(f'{{"event_type":{event_type},"player_id":"p00017"}}'.encode()) == "bad_event_type"


@pytest.mark.parametrize(
    "value",
    [
        b"{}",
        b'{"event_type":null,"player_id":"p00017"}',
        b'{"EVENT_TYPE":"KILL","player_id":"p00017"}',  # case counts in keys too
        b'{"event_type ":"KILL","player_id":"p00017"}',
        b'{"event":{"event_type":"KILL"},"player_id":"p00017"}',  # nested fields do not count
    ],
)
def test_an_event_type_that_is_absent_or_null_is_missing(value: bytes) -> None:
    assert fate(value) == "missing_event_type"


# The names: player_id, game_id and event_id


@pytest.mark.parametrize("name", good_names(), ids=shown)
def test_a_name_of_1_to_128_code_points_lands_as_it_is(name: str) -> None:
    [written_out] = fates([kill(player_id=name, game_id=name, event_id=name)])
    [escaped] = fates(
        [json.dumps({"event_type": "KILL", "player_id": name, "game_id": name, "event_id": name}).encode()]
    )
    assert isinstance(written_out, Landed)
    assert (written_out.player_id, written_out.game_id, written_out.event_id) == (name, name, name)
    assert escaped == written_out


@pytest.mark.parametrize("field", NAMES)
def test_a_name_of_129_code_points_is_bad(field: str) -> None:
    assert words([kill(**{field: char * 129}) for char in "pé😀"]) == [f"bad_{field}"] * 3


@pytest.mark.parametrize("field", NAMES)
def test_an_empty_name_is_bad(field: str) -> None:
    assert fate(kill(**{field: ""})) == f"bad_{field}"


@pytest.mark.parametrize("field", NAMES)
def test_a_name_with_any_control_character_anywhere_is_bad(field: str) -> None:
    controls = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
    names = [name for char in controls for name in (char, f"{char}p", f"p{char}", f"p{char}p")]
    escaped = [kill_with(f'"{field}":{json.dumps(name)}') for name in names]
    assert words(escaped) == [f"bad_{field}"] * 4 * 65


@pytest.mark.parametrize("field", NAMES)
def test_control_characters_that_json_lets_stand_unescaped_are_bad_too(field: str) -> None:
    names = [f"p{chr(code)}" for code in range(0x7F, 0xA0)]
    assert words([kill(**{field: name}) for name in names]) == [f"bad_{field}"] * 33


@pytest.mark.parametrize("field", NAMES)
@pytest.mark.parametrize("value", ["7", "-0.0", "1e999", "true", "false", "[]", '["p"]', "{}", '{"id":"p"}'])
def test_a_name_that_is_not_a_string_is_bad(field: str, value: str) -> None:
    assert fate(kill_with(f'"{field}":{value}')) == f"bad_{field}"


def test_a_player_that_is_absent_or_null_is_missing() -> None:
    assert (
        words([b'{"event_type":"KILL"}', kill(player_id=None), b'{"event_type":"KILL","Player_ID":"p"}'])
        == ["missing_player_id"] * 3
    )


@pytest.mark.parametrize("field", OPTIONAL_NAMES)
def test_an_optional_name_may_be_null_and_is_then_as_if_absent(field: str) -> None:
    absent, null = fates([kill(), kill(**{field: None})])
    assert isinstance(absent, Landed)
    assert absent.game_id is absent.event_id is None
    assert null == absent


def test_further_fields_are_ignored_whatever_they_hold() -> None:
    plain, with_more = fates(
        [kill(), kill(damage=12.5, weapon=None, bag=["a", {"player_id": ""}], note="\x00", payload={"event_type": 7})]
    )
    assert isinstance(plain, Landed)
    assert with_more == plain


# A key that stands twice


@pytest.mark.parametrize(("value", "expected"), messages_with_a_repeated_key(), ids=shown)
def test_of_a_repeated_key_the_last_one_counts(value: bytes, expected: str) -> None:
    assert fate(value) == expected


def test_of_three_players_the_last_one_lands() -> None:
    [found] = fates([b'{"player_id":"a","event_type":"KILL","player_id":7,"player_id":"c"}'])
    assert isinstance(found, Landed)
    assert found.player_id == "c"


# Another day or the day itself


def test_the_day_goes_by_utc_and_not_by_the_offset_as_written() -> None:
    values = [
        kill(ts="2025-12-30T00:00:00Z"),  # the first moment
        kill(ts="2025-12-29T23:59:59.999999Z"),  # just before
        kill(ts="2025-12-30T23:59:59.999999999Z"),  # the last
        kill(ts="2025-12-31T00:00:00Z"),  # just after
        kill(ts="2025-12-31T00:30:00+01:00"),  # 23:30 UTC
        kill(ts="2025-12-30T00:30:00+01:00"),  # 23:30 UTC the day before
        kill(ts="2025-12-29T20:00:00-05:00"),  # 01:00 UTC
        kill(ts="2025-12-30T20:00:00-05:00"),  # 01:00 UTC the day after
        kill(ts="2025-12-31T23:58:00+23:59"),  # one minute before midnight
        kill(ts="2025-12-31T23:59:00+23:59"),  # midnight
        kill(ts="2025-12-31T00:00:00"),  # no offset is UTC
    ]
    days_since_1970 = 20_452  # of 2025-12-30
    expected = [0, -1, 0, 1, 0, -1, 0, 1, 0, 1, 1]
    found = [item.days_since_1970 - days_since_1970 if isinstance(item, OtherDay) else 0 for item in fates(values)]
    assert found == expected
    assert [name == "landed" for name in words(values)] == [days == 0 for days in expected]


def test_without_ts_the_day_goes_by_the_timestamp_of_the_message() -> None:
    delivered = [1_767_052_800_000, 1_767_052_799_999, 1_767_139_199_999, 1_767_139_200_000]
    found = fates([kill()] * 4, delivered)
    assert [type(item) for item in found] == [Landed, OtherDay, Landed, OtherDay]


def test_the_same_messages_land_on_the_day_to_which_they_belong() -> None:
    values = [kill(ts="2025-12-30T23:59:59Z"), kill(ts="2025-12-31T00:00:00Z")]
    assert [type(item) for item in fates(values, day=date(2025, 12, 31))] == [OtherDay, Landed]
