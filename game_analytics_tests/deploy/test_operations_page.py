"""The page for operators names what is there: every check that can warn, settings that are read, files that exist."""

import re
from pathlib import Path

import dagster as dg
import pytest

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.assets.top10_leaderboard import top10_leaderboard

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "operations.md"


@pytest.mark.parametrize("asset", [raw_events, daily_player_stats, top10_leaderboard], ids=lambda asset: asset.op.name)
def test_what_to_do_about_each_check_is_said(asset: dg.AssetsDefinition) -> None:
    first_cells = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    names = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert {spec.name for spec in asset.check_specs} <= names


def test_each_setting_of_ours_that_it_names_is_read() -> None:
    read = (PROJECT / "game_analytics" / "definitions.py").read_text()
    named = set(re.findall(r"`(GAME_ANALYTICS_[A-Z_]+)`", PAGE.read_text()))
    assert named
    assert [name for name in named if f'"{name}"' not in read] == []


def test_its_sections_and_the_files_of_the_deployment_that_it_links_to_are_there() -> None:
    text = PAGE.read_text()
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    assert [link for link in links if link.startswith("../deploy/") and not (PAGE.parent / link).exists()] == []
