"""How the services of a deployment wait: a new problem is logged at once, an unchanged one now and then."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from game_analytics.cli.serve import code_location_problem, history_problem, settings_problem, wait_until_none
from game_analytics.errors import GameAnalyticsError
from game_analytics_tests.support.forked import COMMAND, run_python

DEPLOY = Path(__file__).parents[2] / "deploy"


def lines_for(answers: Sequence[str | None]) -> tuple[list[str], int]:
    """The lines logged for this sequence of problems, and the number of pauses."""
    coming, lines, pauses = iter(answers), list[str](), list[float]()
    # Time passes only in pauses.
    wait_until_none(lambda: next(coming), lines.append, pauses.append, lambda: 1_000 + sum(pauses))
    return lines, len(pauses)


def test_without_a_problem_it_does_not_wait() -> None:
    assert lines_for([None]) == ([], 0)


def test_each_new_problem_is_logged_once() -> None:
    assert lines_for(["a: refused", "a: refused", "b: wrong password", None]) == (
        ["waiting for a: refused. Trying again", "waiting for b: wrong password. Trying again", "continues"],
        3,
    )


def test_an_unchanged_problem_is_logged_again_every_half_minute() -> None:
    lines, pauses = lines_for(["a"] * 61 + [None])
    assert lines == ["waiting for a. Trying again"] * 3 + ["continues"]
    assert pauses == 61


def test_invalid_dagster_settings_are_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text("storage: {nonsense: {}}")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(GameAnalyticsError, match=r"^dagster\.yaml or its settings are wrong: .*nonsense") as error:
        history_problem()
    assert "\n" not in str(error.value)


def test_a_missing_variable_is_named_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text((DEPLOY / "dagster.yaml").read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    for name in [name for name in os.environ if name.startswith(("POSTGRES_", "GAME_ANALYTICS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GAME_ANALYTICS_BUCKET", "lake")
    with pytest.raises(GameAnalyticsError, match=r"wrong: Post processing at path root:.*POSTGRES_\w+") as error:
        history_problem()
    assert "\n" not in str(error.value)


def test_a_missing_workspace_file_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workspace.yaml").write_text((DEPLOY / "workspace.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CODE_LOCATION_HOST", raising=False)
    monkeypatch.delenv("CODE_LOCATION_PORT", raising=False)
    with pytest.raises(
        GameAnalyticsError, match=r"^workspace\.yaml or its settings are wrong: .*CODE_LOCATION_"
    ) as error:
        code_location_problem()
    assert "\n" not in str(error.value)


def test_valid_settings_are_no_problem() -> None:
    assert settings_problem() is None


def test_an_invalid_setting_ends_the_code_location_with_one_line(tmp_path: Path) -> None:
    environment = {"PATH": os.defpath, "HOME": str(tmp_path), "KAFKA_TOPIC": "game-events"}
    done = run_python(COMMAND, "serve", "code", environment=environment, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: KAFKA_TOPIC or KAFKA_CONFIG_FILE is set, but KAFKA_BOOTSTRAP_SERVERS is not.")
    assert done.stderr.count("\n") == 1
