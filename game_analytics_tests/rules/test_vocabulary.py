"""Names of event types: those that settings map onto the two counted ones, and those that look like them."""

import pytest

from game_analytics.rules.events import classify
from game_analytics.rules.vocabulary import resembled_type, type_names
from game_analytics_tests.support.batches import DAY, JSON, PARTITION, batch, kill


def types_of(names: list[str], kills: list[str], deaths: list[str]) -> tuple[list[str], list[str]]:
    """The types of landed events, and those of ignored messages."""
    messages = batch([kill(event_type=name) for name in names])
    classified = classify(messages, PARTITION, DAY, JSON, type_names(kills, deaths))
    assert classified.quarantined.is_empty()
    return classified.landed["event_type"].to_list(), classified.ignored["event_type"].to_list()


def test_further_names_count_as_the_two_types_beside_their_own() -> None:
    given = ["KILL", "frag", "PlayerDied", "LOGIN", "DEATH"]
    assert types_of(given, ["frag"], ["PlayerDied", "fall"]) == (["KILL", "KILL", "DEATH", "DEATH"], ["LOGIN"])


def test_without_settings_other_names_are_ignored() -> None:
    assert types_of(["frag", "KILL", "kill"], [], []) == (["KILL"], ["frag", "kill"])


def test_an_event_of_a_further_name_needs_its_fields_too() -> None:
    messages = batch([b'{"event_type": "frag"}'])
    assert classify(messages, PARTITION, DAY, JSON).quarantined.is_empty()
    refused = classify(messages, PARTITION, DAY, JSON, type_names(["frag"], [])).quarantined
    assert refused["reason"].to_list() == ["missing_player_id"]


@pytest.mark.parametrize(
    ("kills", "deaths", "named"), [(["frag"], ["frag"], "frag"), (["DEATH"], [], "DEATH"), ([], ["x", "KILL"], "KILL")]
)
def test_a_name_stands_for_one_type_only(kills: list[str], deaths: list[str], named: str) -> None:
    with pytest.raises(ValueError, match=f"'{named}' would stand for KILL and for DEATH"):
        type_names(kills, deaths)


@pytest.mark.parametrize(
    ("name", "resembled"),
    [
        ("kill", "KILL"),
        ("Kill", "KILL"),
        (" KILL", "KILL"),
        ("KILL\n", "KILL"),
        ("EVENT_TYPE_KILL", "KILL"),
        ("game.events.death", "DEATH"),
        ("game:death", "DEATH"),
        ("PlayerKill", "KILL"),
        ("player2Death", "DEATH"),
        ("\nx DEATH ", "DEATH"),
        ("SKILL", None),
        ("Overkill", None),
        ("KILLED", None),
        ("KILL_ASSIST", None),
        ("DEATHMATCH", None),
        ("LOGIN", None),
        ("", None),
    ],
)
def test_case_blanks_and_prefixes_do_not_hide_a_type(name: str, resembled: str | None) -> None:
    assert resembled_type(name) == resembled
