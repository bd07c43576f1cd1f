"""The page for operators names what is there: every check that can warn, messages that the package writes, settings
that are read, files that exist."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from game_analytics.defs.assets.daily_player_stats import daily_player_stats
from game_analytics.defs.assets.raw_events import raw_events
from game_analytics.defs.assets.top10_leaderboard import top10_leaderboard
from game_analytics.defs.freshness import freshness_checks
from game_analytics.settings import Settings

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "operations.md"

FOREIGN = (
    "Connection refused",
    "Exceeded maximum runtime",
    "Failed to bind to address",
    "address already in use",
    "no space left on device",
    "password authentication failed",
    "server does not support SSL",
    "environment variable",
    '" which is not set',
)
"""How messages of Dagster, gRPC, PostgreSQL and the system begin, which are in no file of ours."""

COMPOSED = ("has lost offsets", "waiting for PostgreSQL", "waiting for the code location")
"""Put together from two strings of ours."""


@pytest.mark.parametrize(
    "asset",
    [raw_events, daily_player_stats, top10_leaderboard, *freshness_checks],
    ids=lambda asset: asset.op.name,
)
def test_what_to_do_about_each_check_is_said(asset: dg.AssetsDefinition) -> None:
    names = {name for row in _rows("check") for name in re.findall(r"`(\w+)`", row["check"])}
    assert {spec.name for spec in asset.check_specs} <= names


def test_each_message_that_it_quotes_is_one_of_the_package() -> None:
    written = [text for file in (PROJECT / "game_analytics").rglob("*.py") for text in _texts(file)]
    quotes = [quote for row in _rows("says") for quote in re.findall(r"`([^`]+)`", row["says"])]
    ours = {part for quote in quotes for part in _parts(quote) if not part.startswith((*FOREIGN, *COMPOSED))}
    assert len(ours) > 40
    assert sorted(part for part in ours if not any(part in text for text in written)) == []


def _rows(column: str) -> Iterator[dict[str, str]]:
    """The rows of the page's tables that have this column, by the heads of their columns."""
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE.read_text(), flags=re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines())
        if column in head:
            yield from (dict(zip(head, row, strict=True)) for row in rows)


def _parts(quote: str) -> Iterator[str]:
    """Three words or more between what differs from case to case (…) and where one string may end and another begin."""
    parts = (part.strip(" ,;:") for part in re.split(r"…|[,:] ", quote))
    return (part for part in parts if len(part.split()) >= 3)


def _texts(file: Path) -> Iterator[str]:
    """The strings of a module but for docstrings, adjacent ones joined, with … for what an f-string fills in."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    docstrings = [node.value for node in nodes if isinstance(node, ast.Expr)]
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(value.value) if isinstance(value, ast.Constant) else "…" for value in node.values)


def test_each_setting_of_ours_that_it_names_is_read() -> None:
    read = {f"GAME_ANALYTICS_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"`(GAME_ANALYTICS_[A-Z_]+)`", PAGE.read_text()))
    assert named
    assert named <= read


def test_its_sections_and_the_files_of_the_deployment_that_it_links_to_are_there() -> None:
    text = PAGE.read_text()
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    anchors = {re.sub(r"[^a-z -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert {link[1:] for link in links if link.startswith("#")} <= anchors
    assert [link for link in links if link.startswith("../deploy/") and not (PAGE.parent / link).exists()] == []
