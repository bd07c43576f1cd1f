"""Keys in events/ that are no stats file of a past day are ignored and logged; others are ranked."""

from datetime import UTC, datetime

import dagster as dg

from game_analytics_tests.support.harness import Pipeline, days_ago
from game_analytics_tests.support.ticks import DAY, ann_leads, log_of_a_tick, run, stats_file, tick

NO_STATS_FILES = {
    "another name": "events/readme.txt",
    "an unfinished upload": "events/2025_12_30_events.parquet.tmp",
    "something before the name": "events/new_2025_12_30_events.parquet",
    "a folder below": "events/2025/2025_12_30_events.parquet",
    "a folder marker below": "events/2025/",
    "dashes": "events/2025-12-30_events.parquet",
    "no underscores": "events/20251230_events.parquet",
    "no leading zeros": "events/2025_1_2_events.parquet",
    "a fifth digit": "events/12025_12_30_events.parquet",
    "another case": "events/2025_12_30_EVENTS.parquet",
    "a dot that is none": "events/2025_12_30_events_parquet",
    "digits of another script": "events/٢٠٢٥_12_30_events.parquet",
    "no day of the calendar": "events/2025_02_30_events.parquet",
    "a thirteenth month": "events/2025_13_01_events.parquet",
    "no leap year": "events/2025_02_29_events.parquet",
    "the year 0": "events/0000_01_01_events.parquet",
    "a control character at the end": "events/2025_12_30_events.parquet\r",
}

BEFORE_THE_FIRST_PARTITION = {
    "the day before": "events/2023_12_31_events.parquet",
    "before the epoch": "events/1969_12_31_events.parquet",
    "the first day of all": "events/0001_01_01_events.parquet",
}

NOT_OVER = {
    "the last day of all": "events/9999_12_31_events.parquet",
    "today": "events/2026_01_05_events.parquet",
    "tomorrow": "events/2026_01_06_events.parquet",
}
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_foreign_keys_are_left_alone_and_named_and_the_others_go_ahead(kept: Pipeline) -> None:
    foreign = [*NO_STATS_FILES.values(), *BEFORE_THE_FIRST_PARTITION.values(), *NOT_OVER.values()]
    for key in foreign:
        kept.put(key, ann_leads())
    good = ["2024-01-01", DAY, "2026-01-04"]  # the first partition, one between, the newest
    for day in good:
        kept.put(stats_file(day), ann_leads())

    with dg.partition_loading_context(effective_dt=NOON):
        assert tick(kept).days == good
        lines = log_of_a_tick(kept)

    assert len(lines) == len(foreign)
    for keys, reason in (
        (NO_STATS_FILES, "is left alone: it is not named like a stats file"),
        (BEFORE_THE_FIRST_PARTITION, "is left alone: its day lies before the first partition, 2024-01-01"),
        (NOT_OVER, "is left alone: its day is not over yet"),
    ):
        for key in keys.values():
            (line,) = [line for line in lines if line.startswith(f"{key!r} ")]
            assert reason in line


def test_foreign_keys_alone_leave_nothing_to_do(pipeline: Pipeline) -> None:
    pipeline.put("events/readme.txt", b"hello")
    pipeline.put(stats_file(days_ago(-1)), ann_leads())
    assert tick(pipeline).skipped.startswith("All 0 boards")


def test_the_marker_object_of_the_folder_is_not_logged(kept: Pipeline) -> None:
    kept.put("events/", b"")
    kept.put(stats_file(DAY), ann_leads())
    assert tick(kept).days == [DAY]
    assert log_of_a_tick(kept) == []


def test_other_folders_are_not_read(kept: Pipeline) -> None:
    for key in ("2025_12_30_events.parquet", "events_old/2025_12_30_events.parquet", "raw/events/2025_12_30_events"):
        kept.put(key, ann_leads())
    assert tick(kept).skipped.startswith("All 0 boards")
    assert log_of_a_tick(kept) == []


# Keys as uploaded, and as shown.
ODD_NAMES = {
    "red\x1b[31m": "'events/red\\x1b[31m'",
    "over\rwritten": "'events/over\\rwritten'",
    "nul\x00": "'events/nul\\x00'",
    "a second\x85line": "'events/a second\\x85line'",
    "turned\u202ednuora": "'events/turned\\u202ednuora'",
    "a\ttab": "'events/a\\ttab'",
}


def test_control_characters_in_a_name_are_shown_as_escapes(kept: Pipeline) -> None:
    for name in ODD_NAMES:
        kept.put(f"events/{name}", b"")
    lines = log_of_a_tick(kept)
    assert all(line.isprintable() for line in lines)
    assert sorted(line.partition(" is left alone: ")[0] for line in lines) == sorted(ODD_NAMES.values())


def test_a_day_that_is_not_over_waits_and_runs_when_its_partition_exists(pipeline: Pipeline) -> None:
    pipeline.put(stats_file("2025-12-31"), ann_leads())
    with dg.partition_loading_context(effective_dt=datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)):
        assert tick(pipeline).days == []
    with dg.partition_loading_context(effective_dt=datetime(2026, 1, 1, tzinfo=UTC)):
        request = tick(pipeline).request
    assert request.partition_key == "2025-12-31"
    assert run(pipeline, request).success
