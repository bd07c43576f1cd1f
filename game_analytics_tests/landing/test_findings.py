"""What the checks of a landing say of types, of times without an offset, and of a day of which nothing was landed."""

from collections import Counter

import pytest

from game_analytics.landing.findings import failure, findings
from game_analytics.landing.report import LandingReport
from game_analytics.landing.slices import MAX_TYPES, OTHER_TYPES, add_types
from game_analytics.landing.tables import account_lines, ignored_table
from game_analytics_tests.support.lakes import MemoryLake
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import DAY, at, death, kill, land

NOON = "2025-12-30 12:00"
LATE = "2025-12-30 23:30"


def landing_of(*values: bytes, delivered: str = NOON) -> LandingReport:
    """A day of these messages in one partition, and one before it."""
    before = at(0, "2025-12-29 12:00", kill("early", ts="2025-12-29T12:00:00Z"))
    messages = [at(offset, delivered, value) for offset, value in enumerate(values, 1)]
    return land(ListedLog({0: [before, *messages]}), MemoryLake())


def finding(landing: LandingReport, check: str) -> str | None:
    return findings(landing, {}, volume_percent=50, quarantine_percent=1)[check]


# -- types -------------------------------------------------------------------------------------------------------------


def test_ignored_types_are_listed_most_first() -> None:
    values = [kill(event_type=name) for name in ("LOGIN", "CHAT", "LOGIN")]
    landing = landing_of(kill(), *values)
    assert landing.types is not None
    assert landing.types.ignored == {"LOGIN": 2, "CHAT": 1}
    assert ignored_table(landing.types).rows == [("LOGIN", 2), ("CHAT", 1)]
    assert "ignored types: LOGIN 2, CHAT 1" in account_lines(landing)


def test_a_type_of_a_megabyte_is_listed_by_its_beginning() -> None:
    landing = landing_of(kill(), kill(event_type="x" * 1_000_000))
    assert landing.types is not None
    assert landing.types.ignored == {"x" * 128: 1}


def test_beyond_a_thousand_types_the_rarest_are_counted_together() -> None:
    types = Counter({f"type {number:04}": 2 for number in range(MAX_TYPES)})
    add_types(types, {"type 0000": 1, "frequent": 5, "rare": 1})
    assert (types["type 0000"], types["frequent"]) == (3, 5)
    assert (len(types), types[OTHER_TYPES]) == (MAX_TYPES + 1, 3)  # a rare one, and one of two messages
    add_types(types, {"more": 7, "rare": 1})
    assert (types["more"], types[OTHER_TYPES], types.total()) == (7, 6, 2 * MAX_TYPES + 7 + 8)


def test_kills_without_a_death_warn_and_name_what_was_ignored() -> None:
    said = finding(landing_of(kill(), kill(), kill(event_type="DIED")), "both_types")
    assert said is not None
    assert said.startswith("2 events were landed, and none of them is a DEATH.")
    assert "(ignored types: DIED 1), set GAME_ANALYTICS_DEATH_TYPES" in said


def test_deaths_without_a_kill_warn() -> None:
    said = finding(landing_of(death()), "both_types")
    assert said is not None
    assert "none of them is a KILL" in said


def test_both_pass_and_so_does_an_empty_day() -> None:
    assert finding(landing_of(kill(), death()), "both_types") is None
    assert finding(landing_of(), "both_types") is None


def test_an_ignored_type_that_resembles_a_counted_one_is_named_with_its_count() -> None:
    values = [kill(event_type=name) for name in ("kill", "kill", "PLAYER_DEATH", "LOGIN")]
    said = finding(landing_of(kill(), death(), *values), "known_types")
    assert said is not None
    assert "2 of 'kill', 1 of 'PLAYER_DEATH'" in said
    assert "GAME_ANALYTICS_KILL_TYPES and GAME_ANALYTICS_DEATH_TYPES" in said


def test_types_of_another_meaning_pass() -> None:
    assert finding(landing_of(kill(), death(), kill(event_type="SKILL")), "known_types") is None


# -- times without an offset -------------------------------------------------------------------------------------------


def test_times_without_an_offset_are_counted_and_pass_while_all_are_alike() -> None:
    landing = landing_of(kill(ts="2025-12-30T12:00:00"), death(ts="2025-12-30 12:00"), kill(ts=1767096000))
    assert landing.types is not None
    assert landing.types.times == {"with_offset": 0, "without_offset": 2, "displaced": 0}
    assert finding(landing, "times_name_their_offset") is None
    assert "times without an offset, taken as UTC: 2" in account_lines(landing)


def test_times_with_and_without_an_offset_warn() -> None:
    values = [
        kill(ts=f"2025-12-30T12:00:00{offset}") for offset in ("", "Z", ".250Z", "+01", " UTC", "+0100[Europe/Berlin]")
    ]
    said = finding(landing_of(*values), "times_name_their_offset")
    assert said is not None
    assert said.startswith("1 events have a ts without an offset from UTC, beside 5 that have one.")


@pytest.mark.parametrize(("moved", "warns"), [(1, False), (2, True)])
def test_more_than_one_percent_on_another_day_than_their_message_warn(moved: int, warns: bool) -> None:
    """Of a hundred: as local time of Tokyo, half past eleven in the evening is the next morning."""
    values = [kill(ts="2025-12-30T23:30:00")] * (100 - moved) + [kill(ts="2025-12-31T08:30:00")] * moved
    landing = landing_of(*values, delivered=LATE)
    said = finding(landing, "times_name_their_offset")
    assert (said is not None) == warns
    if said is not None:
        assert said.startswith("2 of 100 events whose ts has no offset fall on another day than their message.")


def test_an_event_a_moment_before_midnight_and_its_message_after_it_are_not_displaced() -> None:
    landing = landing_of(kill(ts="2025-12-30T23:59:58"), delivered="2025-12-31 00:00:01")
    assert landing.types is not None
    assert landing.types.times == {"with_offset": 0, "without_offset": 1, "displaced": 0}


def test_late_events_with_an_offset_are_not_displaced() -> None:
    landing = landing_of(kill(ts="2025-12-29T23:59:00Z"), kill(ts="2025-12-30T12:00:00Z"))
    assert landing.types is not None
    assert landing.types.times == {"with_offset": 2, "without_offset": 0, "displaced": 0}


# -- a day of which nothing was landed ---------------------------------------------------------------------------------


def test_an_unreadable_day_fails_by_reason_expectation_and_first_value() -> None:
    said = failure(landing_of(b"[1, 2]", b"oops", b"oops!", kill(event_type="LOGIN")))
    assert said is not None
    assert said.startswith(
        f"None of the messages of {DAY} became an event: 3 could not be read, 2 of them not_json (expected: one JSON "
        "object, nested at most 64 deep; the first one begins oops), and 1 are of ignored types (LOGIN 1); expected "
        "are KILL and DEATH, or what GAME_ANALYTICS_KILL_TYPES and GAME_ANALYTICS_DEATH_TYPES name."
    )


def test_a_day_of_ignored_types_fails_by_the_most_frequent_one() -> None:
    said = failure(landing_of(kill(event_type="kill"), kill(event_type="kill"), kill(event_type="LOGIN")))
    assert said is not None
    assert "3 are of ignored types (kill 2, LOGIN 1)" in said
    assert "game-analytics quarantine" not in said  # nothing is in it


NEXT_DAYS = [kill(ts="2025-12-31T00:20:00Z")] * 3


def test_an_empty_day_before_a_busy_one_only_warns_though_other_types_came_with_it() -> None:
    landing = landing_of(*NEXT_DAYS, kill(event_type="LOGIN"), delivered="2025-12-31 00:20")
    assert failure(landing) is None
    assert finding(landing, "has_events") == "no event was landed"


def test_a_day_of_ignored_types_fails_though_the_next_one_begins_well() -> None:
    landing = landing_of(*[kill(event_type="kill")] * 4, *NEXT_DAYS, delivered="2025-12-31 00:20")
    assert str(failure(landing)).startswith(
        "None of the messages of 2025-12-30 became an event: 4 are of ignored types"
    )


def test_one_that_can_t_be_read_is_enough_to_fail_a_day_of_which_nothing_landed() -> None:
    landing = landing_of(b"oops", *NEXT_DAYS, delivered="2025-12-31 00:20")
    assert "1 could not be read, 1 of them not_json" in str(failure(landing))


def test_one_event_is_enough() -> None:
    assert failure(landing_of(b"oops", kill())) is None


def test_an_empty_day_and_one_of_late_events_only_warn() -> None:
    for landing in (landing_of(), landing_of(kill(ts="2025-12-29T23:59:00Z"), delivered="2025-12-30 00:10")):
        assert failure(landing) is None
        assert finding(landing, "has_events") == "no event was landed"
