"""What a user sees in the UI: the asset graph, a day materialized through the dialog, the board that the sensor then
published, and the checks. ``make pictures`` takes the README's screenshots with these tests."""

import os
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from game_analytics.lake.names import board_key
from game_analytics_tests.support.processes import eventually
from game_analytics_tests.support.requirements import find_chromium, required
from game_analytics_tests.support.running_stack import RunningStack

# So that it contacts no host of its vendor, and starts as root, for which it has no sandbox.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE_MS = 60_000
_BOARD_WITHIN_SECONDS = 150

GROUP = "locations/game_analytics/asset-groups/leaderboard"
ASSETS = ("raw_events", "daily_player_stats", "top10_leaderboard")
BOARD = "table table"
"""The board's Markdown, within the table of metadata."""
CHECKS = (
    "window_closed",
    "has_events",
    "usual_volume",
    "little_quarantined",
    "nothing_missed",
    "log_goes_on",
    "read_as_planned",
    "both_types",
    "known_types",
    "times_name_their_offset",
)


@pytest.fixture(scope="module")
def browser_page(stack: RunningStack) -> Iterator[Page]:
    """A page of a real browser whose base address is the UI."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=required(find_chromium), args=_FLAGS)
        page = browser.new_page(base_url=f"{stack.settings.ui_url}/", viewport={"width": 1280, "height": 800})
        page.set_default_timeout(_PATIENCE_MS)
        expect.set_options(timeout=_PATIENCE_MS)
        yield page
        browser.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for screenshots: that of the variable PICTURES, else a temporary one."""
    named = os.environ.get("PICTURES")
    return Path(named).absolute() if named else tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def day(days: tuple[date, ...]) -> date:
    """A day that nothing else materialises."""
    return days[-1]


@pytest.fixture(scope="module")
def materialised(browser_page: Page, day: date, pictures: Path) -> date:
    """The day, after its run was launched from the dialog and its board is shown."""
    page = browser_page
    page.goto(GROUP)
    for name in ASSETS:
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    page.get_by_text("raw_events", exact=True).click()
    page.get_by_text("daily_player_stats", exact=True).first.click(modifiers=["Shift"])
    page.get_by_role("button", name="Materialize selected").click()
    dialog = page.get_by_role("dialog")
    partitions = dialog.get_by_role("textbox").first
    partitions.fill(day.isoformat())
    partitions.press("Enter")
    launch = dialog.get_by_role("button", name="Launch 1 run")
    expect(launch).to_be_enabled()
    page.screenshot(path=pictures / "materialize.png")
    launch.click()
    expect(dialog).to_be_hidden()
    page.goto(f"assets/top10_leaderboard?view=partitions&partition={day}")
    eventually(lambda: is_shown_after_reload(page), "the board is shown", page.content, _BOARD_WITHIN_SECONDS)
    page.screenshot(path=pictures / "board.png")
    return day


def is_shown_after_reload(page: Page) -> bool:
    """Reloads, since the page of a partition does not update by itself."""
    page.reload()
    try:
        expect(page.locator(BOARD)).to_be_visible(timeout=5_000)
    except AssertionError:
        return False
    return True


def test_the_board_on_the_page_is_the_published_one(
    browser_page: Page, stack: RunningStack, materialised: date
) -> None:
    browser_page.goto(f"assets/top10_leaderboard?view=partitions&partition={materialised}")
    board = browser_page.locator(BOARD)
    expect(board).to_be_visible()
    shown = [[cell.inner_text() for cell in row.locator("td").all()] for row in board.locator("tbody tr").all()]
    published = stack.lake().read_parquet(board_key(materialised))
    assert published is not None
    assert shown == [
        [str(rank), player, str(kills), str(deaths), f"{ratio:.2f}"]
        for rank, player, kills, deaths, ratio in published.rows()
    ]
    assert len(shown) == 10


@pytest.mark.usefixtures("materialised")
def test_each_check_can_be_looked_at(browser_page: Page, pictures: Path) -> None:
    browser_page.goto("assets/raw_events?view=checks")
    for check in CHECKS:
        browser_page.get_by_text(check, exact=True).first.click()
        expect(browser_page.get_by_text("Evaluation result")).to_be_visible()
        expect(browser_page.get_by_text(re.compile(r"^\d{4}-\d\d-\d\d: "))).to_be_visible()
    browser_page.screenshot(path=pictures / "checks.png")


@pytest.mark.usefixtures("materialised")
def test_the_graph_shows_how_many_checks_passed(browser_page: Page, pictures: Path) -> None:
    browser_page.goto(GROUP)
    # At least one has passed; which of them warn depends on the simulated day.
    expect(browser_page.get_by_text(re.compile(r"^([1-9]|10) / 10 Passed$"))).to_be_visible()
    browser_page.screenshot(path=pictures / "graph.png")
