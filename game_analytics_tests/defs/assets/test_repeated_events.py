"""A day's repeats as its checks report them. The account balances in any case."""

import dagster as dg

from game_analytics.defs.resources import LakeResource
from game_analytics_tests.support.harness import ALL, Pipeline, given_log, pipeline_on
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.samples import at, kill

DAY = "2025-12-30"
CHECKS = ("few_repeats", "repeats_agree_in_time")


def checks_of(pipeline: Pipeline) -> dict[str, dg.AssetCheckEvaluation]:
    """The findings of a successful run of all three assets."""
    result = pipeline.run(ALL, DAY)
    assert result.success
    return {check.check_name: check for check in result.get_asset_check_evaluations() if check.check_name in CHECKS}


def of_kills(*values: bytes) -> ListedLog:
    """Events at one-minute intervals from noon on."""
    return ListedLog({0: [at(place, f"2025-12-30 12:{place:02}", value) for place, value in enumerate(values)]})


def account(pipeline: Pipeline) -> list[int]:
    return [pipeline.recorded("daily_player_stats", DAY, name) for name in ("landed", "kills", "deaths", "duplicates")]


def test_three_matches_of_four_kills_are_twelve(lake_resource: LakeResource) -> None:
    ids = [(game, str(number)) for game in ("m1", "m2", "m3") for number in range(1, 5)]
    log = of_kills(*(kill("ann", game_id=game, event_id=number) for game, number in ids))
    with pipeline_on(lake_resource, given_log(log)) as pipeline:
        assert {name: check.passed for name, check in checks_of(pipeline).items()} == dict.fromkeys(CHECKS, True)
        assert pipeline.board(DAY) == [(1, "ann", 12, 0, 12.0)]
        assert account(pipeline) == [12, 12, 0, 0]


def test_ids_that_count_within_an_unnamed_match_warn_with_an_example(lake_resource: LakeResource) -> None:
    log = of_kills(*(kill("ann", event_id=str(number), ts="2025-12-30T12:00:00Z") for number in (1, 2, 3, 4) * 3))
    with pipeline_on(lake_resource, given_log(log)) as pipeline:
        checks = checks_of(pipeline)
        assert account(pipeline) == [12, 4, 0, 8]
    assert not checks["few_repeats"].passed
    assert checks["few_repeats"].severity == dg.AssetCheckSeverity.WARN
    told = str(checks["few_repeats"].description)
    assert told.startswith(f"{DAY}: 8 of 12 landed events (66.7%) repeat others and do not count: ")
    assert "KILL of 'ann' with event_id '1' came 3 times" in told
    assert checks["repeats_agree_in_time"].passed


def test_an_id_that_identifies_an_attack_warns_with_both_times(lake_resource: LakeResource) -> None:
    """One of forty kills shares its id with another one, half a second later."""
    log = of_kills(
        *(kill("bob", event_id=f"e{number}") for number in range(38)),
        kill("ann", game_id="m1", event_id="a7", ts="2025-12-30T10:00:00Z"),
        kill("ann", game_id="m1", event_id="a7", ts="2025-12-30T10:00:00.5Z"),
    )
    with pipeline_on(lake_resource, given_log(log)) as pipeline:
        checks = checks_of(pipeline)
        assert account(pipeline) == [40, 39, 0, 1]
        assert pipeline.recorded("daily_player_stats", DAY, "repeated_at_other_times") == 1
    assert checks["few_repeats"].passed
    assert not checks["repeats_agree_in_time"].passed
    assert checks["repeats_agree_in_time"].severity == dg.AssetCheckSeverity.WARN
    assert (
        "1 events were repeated with another ts and count once each: KILL of 'ann' with event_id 'a7' in game 'm1' "
        "happened at 2025-12-30 10:00:00 and 2025-12-30 10:00:00.5."
    ) in str(checks["repeats_agree_in_time"].description)


def test_a_simulated_day_with_repeated_deliveries_passes(lake_resource: LakeResource) -> None:
    with pipeline_on(lake_resource) as pipeline:
        assert {name: check.passed for name, check in checks_of(pipeline).items()} == dict.fromkeys(CHECKS, True)
        assert pipeline.recorded("daily_player_stats", DAY, "duplicates") > 0
