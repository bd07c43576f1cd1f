"""The rules and the slow reference decoder agree on any messages, column by column.

Examples are the same in each run of the same tests, so that a failure is caused by a change and can be reproduced.
(Hypothesis uses constants of all loaded modules, so adding tests may change the examples.)
"""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from game_analytics_tests.support.batches import NOON_MS, fates, word
from game_analytics_tests.support.odd_messages import DELIVERED_MS, MESSAGES, TIMED_EVENTS
from game_analytics_tests.support.reference_decoder import fate_of

# Examples are large; generating them slowly on a busy machine must not fail.
PATIENT = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

CLASSES_AND_REASONS = {
    "landed",
    "ignored",
    "other day",
    "tombstone",
    "compressed",
    "avro_or_protobuf",
    "not_utf8",
    "not_json",
    "batch",
    "not_an_object",
    "missing_event_type",
    "bad_event_type",
    "missing_player_id",
    "bad_player_id",
    "bad_game_id",
    "bad_event_id",
    "bad_ts",
}


@pytest.mark.trial
def test_any_batch_is_classified_as_the_reference_decoder_classifies_each_message() -> None:
    seen: Counter[str] = Counter()

    @settings(PATIENT, max_examples=600)
    @given(st.lists(st.tuples(MESSAGES, DELIVERED_MS), min_size=1, max_size=20))
    def same(messages: list[tuple[bytes | None, int | None]]) -> None:
        expected = [fate_of(value, delivered_ms, 2025, 12, 30) for value, delivered_ms in messages]
        seen.update(map(word, expected))
        assert fates([value for value, _ in messages], [delivered_ms for _, delivered_ms in messages]) == expected

    same()
    # The examples must cover nearly all reasons; only the rarest may be missing.
    assert set(seen) <= CLASSES_AND_REASONS
    assert len(seen) >= len(CLASSES_AND_REASONS) - 3
    assert seen.total() > 2_000


@pytest.mark.trial
def test_any_ts_is_parsed_as_by_the_reference_decoder() -> None:
    seen: Counter[str] = Counter()

    @settings(PATIENT, max_examples=350)
    @given(st.lists(TIMED_EVENTS, min_size=1, max_size=30))
    def same(values: list[bytes]) -> None:
        expected = [fate_of(value, NOON_MS, 2025, 12, 30) for value in values]
        seen.update(map(word, expected))
        assert fates(values) == expected

    same()
    assert min(seen["landed"], seen["other day"], seen["bad_ts"]) > 50
