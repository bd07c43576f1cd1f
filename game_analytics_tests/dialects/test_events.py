"""Events as the libraries of 17 languages write them, and thousands of friendly ones in the same forms.

``events.jsonl`` was written by running these libraries, versions noted, and each expectation was read off by hand: the
time that its value tells (to the microsecond, cut off), or the reason for which it is quarantined. The instants are
18:07:12.123456789 (or fewer digits of it) and 10:00 UTC of 2025-12-30; the message was delivered at noon. Some texts
tell another time than their writer meant: local time without its offset, rounded numbers, null for a time that is none.
"""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from game_analytics_tests.support.batches import NOON_MS, fates
from game_analytics_tests.support.reference_decoder import Fate, Landed, Quarantined, fate_of

WRITTEN = [json.loads(line) for line in Path(__file__).with_name("events.jsonl").read_text().splitlines()]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIDNIGHT = datetime(2025, 12, 30, tzinfo=UTC)


def in_words(fate: Fate) -> str:
    """As in the file."""
    if isinstance(fate, Quarantined):
        return fate.reason
    assert isinstance(fate, Landed)
    assert (fate.player_id, fate.event_type) == ("zoe", "KILL")
    moment = _EPOCH + timedelta(microseconds=fate.event_time_us)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def test_there_are_17_languages() -> None:
    assert len({each["language"] for each in WRITTEN}) == 17


def test_what_libraries_write_is_read_as_its_text_tells_or_quarantined_with_a_reason() -> None:
    found = fates([each["value"].encode() for each in WRITTEN])
    names = [f"{each['language']}, {each['library']} {each['version']}: {each['wrote']}" for each in WRITTEN]
    expected = dict(zip(names, [each["expected"] for each in WRITTEN], strict=True))
    assert dict(zip(names, map(in_words, found), strict=True)) == expected
    assert len(expected) == len(WRITTEN)


def test_the_reference_decoder_reads_them_in_the_same_way() -> None:
    found = [in_words(fate_of(each["value"].encode(), NOON_MS, 2025, 12, 30)) for each in WRITTEN]
    assert found == [each["expected"] for each in WRITTEN]


# Friendly messages

_OFFSETS = [timezone(timedelta(minutes=minutes)) for minutes in (-480, -210, 60, 330, 345, 840)]


@dataclass(frozen=True)
class Instant:
    """A time of the day: to the second, and nanoseconds."""

    second: datetime
    nanos: int

    def fraction(self, digits: int) -> str:
        return f"{self.nanos:09}"[:digits]

    def counted(self, digits: int) -> str:
        """Since 1970, in the unit of so many digits below the second."""
        return f"{self.second.timestamp():.0f}{self.fraction(digits)}"

    def text(self, pattern: str, digits: int = 0) -> str:
        """By `strftime`, and then so many digits of the fraction."""
        return f"{self.second:{pattern}}{(digits and '.') or ''}{self.fraction(digits)}"

    def microseconds(self, digits: int) -> int:
        """Since 1970, as far as so many digits tell."""
        return int(f"{self.counted(digits)}{'0' * 9}"[:16])


_T, _BLANK = "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"

FORMS: dict[str, tuple[int, Callable[[Instant], str]]] = {
    "Z": (0, lambda at: f'"{at.text(_T)}Z"'),
    "three digits": (3, lambda at: f'"{at.text(_T, 3)}Z"'),
    "nine digits and a zone": (9, lambda at: f'"{at.text(_T, 9)}+00:00[Etc/UTC]"'),
    "an offset": (6, lambda at: f'"{at.text(_T, 6)}{at.second.isoformat()[19:]}"'),
    "an offset without a colon": (0, lambda at: f'"{at.text(_BLANK)} {at.second:%z}"'),
    "UTC": (9, lambda at: f'"{at.text(_BLANK, 9)} UTC"'),
    "without an offset": (6, lambda at: f'"{at.text(_BLANK, 6)}"'),
    "lower case": (0, lambda at: f'"{at.text("%Y-%m-%dt%H:%M:%S")}z"'),
    "seconds": (0, lambda at: at.counted(0)),
    "seconds with a fraction": (9, lambda at: f"{at.counted(0)}.{at.fraction(9)}"),
    "seconds with an exponent": (6, lambda at: f"{at.counted(6)[0]}.{at.counted(6)[1:]}E9"),
    "milliseconds": (3, lambda at: at.counted(3)),
    "microseconds": (6, lambda at: at.counted(6)),
    "nanoseconds": (9, lambda at: at.counted(9)),
}
"""By name: how many digits of the fraction it tells, and how it is written."""

WITH_OFFSETS = {"an offset", "an offset without a colon"}


@pytest.mark.trial
def test_twenty_thousand_friendly_messages_land_with_the_time_and_the_names_that_they_tell(
    record_property: Callable[[str, object], None],
) -> None:
    dice = random.Random(14)  # noqa: S311 - no secret
    messages, expected = [], []
    for number in range(20_000):
        form = list(FORMS)[number % len(FORMS)]
        digits, write = FORMS[form]
        at = Instant(_MIDNIGHT + timedelta(seconds=dice.randrange(86_400)), dice.randrange(10**9))
        zone = dice.choice(_OFFSETS) if form in WITH_OFFSETS else UTC
        fields = {
            "event_type": dice.choice(["KILL", "DEATH"]),
            "player_id": dice.choice(["zoe", "Åsa", "玩家", "a b", "p"]) + str(dice.randrange(1_000)),
            "game_id": dice.choice([None, "g-7"]),
            "event_id": dice.choice([None, f"e-{number}"]),
        }
        names = [
            f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=dice.random() < 0.5)}"
            for name, value in fields.items()
        ]
        members = [*names, f'"ts":{write(Instant(at.second.astimezone(zone), at.nanos))}', '"weapon": {"id": [1, "x"]}']
        dice.shuffle(members)
        messages.append(f"{{{','.join(members)}}}".encode())
        player, kind = str(fields["player_id"]), str(fields["event_type"])
        expected.append(Landed(at.microseconds(digits), player, kind, fields["game_id"], fields["event_id"]))
    assert fates(messages) == expected
    assert [fate_of(message, NOON_MS, 2025, 12, 30) for message in messages] == expected
    assert len(set(messages)) == len(messages)
    record_property("trial", f"friendly messages: {len(messages):,} in {len(FORMS)} forms land as they were meant")
