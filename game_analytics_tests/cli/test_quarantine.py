"""`game-analytics quarantine` on a day that holds messages of every kind, some of them hostile to a terminal."""

import json
import subprocess
from pathlib import Path

import polars as pl

from game_analytics.defs.resources import LakeResource
from game_analytics.lake.bucket import to_parquet
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics_tests.support.commands import run_on
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import at, land, tombstone, utc


def quarantine(s3: S3Endpoint, lake: LakeResource, *words: str) -> subprocess.CompletedProcess[str]:
    return run_on(s3, lake, "quarantine", *words, FORCE_COLOR="1")


HOSTILE = b'{"event_type": "\x1b]0;mine\x07", [red]:smile: \xc2\x9b31m \xe2\x80\xae'


def lay(lake: LakeResource, messages: dict[int, list[bytes]]) -> None:
    """Land a day with these messages, in each partition at one-minute intervals from noon on."""
    log = ListedLog(
        {
            partition: [
                *(at(place, f"2025-12-30 12:{place:02}", value) for place, value in enumerate(values)),
                tombstone(len(values), "2025-12-30 13:00"),
            ]
            for partition, values in messages.items()
        }
    )
    land(log, lake.open(), now=utc("2025-12-31 06:00"))


def test_reasons_counts_and_samples_are_listed(s3: S3Endpoint, lake_resource: LakeResource) -> None:
    lay(lake_resource, {0: [b"first", b"second", b"\xff\xfe"], 1: [b"third", b"fourth"]})
    done = quarantine(s3, lake_resource, "2025-12-30", "--samples", "2")
    assert done.returncode == 0, done.stderr
    lines = [line.rstrip() for line in _without_styles(done.stdout).splitlines()]
    assert "2025-12-30: 7 of 7 messages could not be read" in lines
    assert [line.split() for line in lines if line.split()[:1] in (["tombstone"], ["not_utf8"], ["not_json"])] == [
        ["tombstone", "2"],
        ["not_utf8", "1"],
        ["not_json", "4"],
    ]
    assert lines[lines.index("not_json: partition 0, offset 0, delivered 2025-12-30T12:00:00Z") + 1] == "  first"
    assert lines[lines.index("not_json: partition 0, offset 1, delivered 2025-12-30T12:01:00Z") + 1] == "  second"
    assert lines[lines.index("not_utf8: partition 0, offset 2, delivered 2025-12-30T12:02:00Z") + 1] == "  \\xff\\xfe"
    assert lines[lines.index("tombstone: partition 0, offset 3, delivered 2025-12-30T13:00:00Z") + 1] == "  (no value)"
    assert "  third" not in lines
    assert lines[-1].endswith("with `reread_quarantine: true` in the run config of raw_events.")


def test_a_message_can_t_move_the_cursor_colour_the_line_or_reverse_the_text(
    s3: S3Endpoint, lake_resource: LakeResource
) -> None:
    lay(lake_resource, {0: [HOSTILE]})
    done = quarantine(s3, lake_resource, "2025-12-30")
    text = _without_styles(done.stdout)
    assert r'{"event_type": "\x1b]0;mine\x07", [red]:smile: \x9b31m \u202e' in text
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(text)


def test_a_timestamp_in_microseconds_is_shown_as_a_number(s3: S3Endpoint, lake_resource: LakeResource) -> None:
    """The time lies outside Python's calendar."""
    wild = 1_767_096_000_000_000
    lay(lake_resource, {0: [b"x"]})
    lake = lake_resource.open()
    [key] = [each.key for each in lake.listing("quarantine/")]
    rows = lake.read_parquet(key)
    assert rows is not None
    lake.put(key, to_parquet(rows.with_columns(kafka_timestamp=pl.lit(wild).cast(pl.Datetime("ms", "UTC")))))
    done = quarantine(s3, lake_resource, "2025-12-30")
    assert done.returncode == 0, done.stderr
    assert f"partition 0, offset 0, delivered {wild} ms" in _without_styles(done.stdout)


def test_each_reason_says_what_was_expected_and_broken_json_where_it_breaks_off(
    s3: S3Endpoint, lake_resource: LakeResource
) -> None:
    lay(lake_resource, {0: ['{"é": 1,'.encode(), b'{"a":1}{"b":2}', b"[" * 65 + b"]" * 65, b"[1]"]})
    lines = _without_styles(quarantine(s3, lake_resource, "2025-12-30").stdout).splitlines()
    assert "batch: expected is one event per message, not an array of them" in lines
    assert "not_json: expected is one JSON object, nested at most 64 deep" in lines
    broken = lines[lines.index('  {"é": 1,') + 1]
    assert broken.startswith("  breaks off at byte 9: ")
    assert lines[lines.index('  {"a":1}{"b":2}') + 1] == "  breaks off at byte 7: Extra data"
    assert "  nested more than 64 deep" in lines


def test_as_json_it_holds_whole_values_as_text_or_base64(s3: S3Endpoint, lake_resource: LakeResource) -> None:
    long = b'{"a": "' + b"x" * 1_000
    lay(lake_resource, {0: [long, b"\xff\xfe"]})
    done = quarantine(s3, lake_resource, "2025-12-30", "--json")
    document = json.loads(done.stdout)
    assert (document["day"], document["read"], document["quarantined"]) == ("2025-12-30", 3, 3)
    tombstone_, not_utf8, not_json = document["reasons"]
    assert tombstone_["samples"] == [{"partition": 0, "offset": 2, "timestamp_ms": 1_767_099_600_000, "value": None}]
    assert not_utf8["samples"][0]["value_base64"] == "//4="
    assert (not_json["reason"], not_json["messages"]) == ("not_json", 1)
    assert not_json["samples"][0]["value"] == long.decode()
    assert not_json["samples"][0]["breaks_off"].startswith("breaks off at byte 6: ")


def test_as_json_a_day_without_quarantine_has_no_reasons(s3: S3Endpoint, lake_resource: LakeResource) -> None:
    land(ListedLog({0: [at(0, "2025-12-30 12:00")]}), lake_resource.open())
    document = json.loads(quarantine(s3, lake_resource, "2025-12-30", "--json").stdout)
    assert document == {"day": "2025-12-30", "read": 1, "quarantined": 0, "reasons": []}


def test_all_values_are_written_as_they_were_received(
    s3: S3Endpoint, lake_resource: LakeResource, tmp_path: Path
) -> None:
    lay(lake_resource, {0: [b"first", b"\xff\x00"], 1: [b"x" * 1_000]})
    file = tmp_path / "values"
    done = quarantine(s3, lake_resource, "2025-12-30", "--all", str(file))
    assert file.read_bytes() == b"first\n\xff\x00\n" + b"x" * 1_000 + b"\n"
    assert "Wrote 3 values to" in done.stdout
    assert "2 tombstones have no value." in done.stdout


def test_a_file_that_can_t_be_written_is_named(s3: S3Endpoint, lake_resource: LakeResource, tmp_path: Path) -> None:
    lay(lake_resource, {0: [b"first"]})
    done = quarantine(s3, lake_resource, "2025-12-30", "--all", str(tmp_path / "nowhere" / "values"))
    assert done.returncode == 1
    assert done.stderr.strip() == f"Error: {tmp_path}/nowhere/values can't be written: No such file or directory."


def test_a_file_that_is_there_stays_if_nothing_can_be_written(
    s3: S3Endpoint, lake_resource: LakeResource, tmp_path: Path
) -> None:
    (tmp_path / "values").write_text("of yesterday")
    done = quarantine(s3, lake_resource, "2025-12-30", "--all", str(tmp_path / "values"))
    assert done.returncode == 1
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("values", "of yesterday")]


def test_a_file_and_json_at_once_are_refused(s3: S3Endpoint, lake_resource: LakeResource, tmp_path: Path) -> None:
    done = quarantine(s3, lake_resource, "2025-12-30", "--json", "--all", str(tmp_path / "values"))
    assert done.returncode == 2
    assert "use one of the two" in done.stderr


def test_a_long_message_is_cut(s3: S3Endpoint, lake_resource: LakeResource) -> None:
    lay(lake_resource, {0: [b"x" * 1_000]})
    assert f"  {'x' * 200} … (1,000 bytes)" in _without_styles(quarantine(s3, lake_resource, "2025-12-30").stdout)


def test_a_day_without_quarantine_says_so(s3: S3Endpoint, lake_resource: LakeResource) -> None:
    land(ListedLog({0: [at(0, "2025-12-30 12:00")]}), lake_resource.open())
    done = quarantine(s3, lake_resource, "2025-12-30")
    assert (done.returncode, done.stdout.strip()) == (
        0,
        "Nothing of 2025-12-30 is quarantined: all 1 messages could be read.",
    )


def test_a_day_that_was_not_landed_says_so(s3: S3Endpoint, lake_resource: LakeResource) -> None:
    done = quarantine(s3, lake_resource, "2025-12-30")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"Error: s3://{lake_resource.bucket}/raw/manifests/2025_12_30.json does not exist: 2025-12-30 was not landed "
        "yet. Materialize raw_events for it."
    )


def _without_styles(output: str) -> str:
    """Without the escapes that rich adds for bold text and table headings."""
    for style in ("\x1b[1m", "\x1b[0m"):
        output = output.replace(style, "")
    return output
