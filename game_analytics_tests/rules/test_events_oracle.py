"""Whatever lies in a topic, the rules and the slow reference decoder say the same of it, column by column.

Examples are the same in each run of the same tests: a red build is then the change's doing, not luck's, and red at the
next desk too. (Hypothesis draws on the constants of all modules that are loaded, so further tests may change them.)
"""

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from game_analytics_tests.support.batches import NOON_MS, fates, word
from game_analytics_tests.support.odd_messages import DELIVERED_MS, MESSAGES, TIMED_EVENTS
from game_analytics_tests.support.reference_decoder import fate_of

# Examples are large on purpose: a busy machine must not fail for making them slowly.
PATIENT = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

CLASSES_AND_REASONS = {
    "landed",
    "ignored",
    "other day",
    "tombstone",
    "not_utf8",
    "not_json",
    "not_an_object",
    "missing_event_type",
    "bad_event_type",
    "missing_player_id",
    "bad_player_id",
    "bad_game_id",
    "bad_event_id",
    "bad_ts",
}


def test_any_batch_of_messages_is_sorted_as_the_reference_decoder_sorts_them_one_by_one() -> None:
    seen: Counter[str] = Counter()

    @settings(PATIENT, max_examples=600)
    @given(st.lists(st.tuples(MESSAGES, DELIVERED_MS), min_size=1, max_size=20))
    def same(messages: list[tuple[bytes | None, int | None]]) -> None:
        expected = [fate_of(value, delivered_ms, 2025, 12, 30) for value, delivered_ms in messages]
        seen.update(map(word, expected))
        assert fates([value for value, _ in messages], [delivered_ms for _, delivered_ms in messages]) == expected

    same()
    # Else the examples would have grown too tame to tell anything. The rarest may be missing.
    assert set(seen) <= CLASSES_AND_REASONS
    assert len(seen) >= len(CLASSES_AND_REASONS) - 2
    assert seen.total() > 2_000


def test_any_ts_is_the_moment_that_the_reference_decoder_makes_of_it() -> None:
    seen: Counter[str] = Counter()

    @settings(PATIENT, max_examples=350)
    @given(st.lists(TIMED_EVENTS, min_size=1, max_size=30))
    def same(values: list[bytes]) -> None:
        expected = [fate_of(value, NOON_MS, 2025, 12, 30) for value in values]
        seen.update(map(word, expected))
        assert fates(values) == expected

    same()
    assert min(seen["landed"], seen["other day"], seen["bad_ts"]) > 50
