"""One stack for the whole test run, started as a user would, and always stopped."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from game_analytics_tests.support.processes import eventually
from game_analytics_tests.support.running_stack import RunningStack, days_ago, running_stack

_STARTS_WITHIN_SECONDS = 180


@pytest.fixture(scope="package")
def stack() -> Iterator[RunningStack]:
    """The stack that all tests of this folder share, once it is ready."""
    with running_stack() as running:
        eventually(running.is_ready, "it is ready", lambda: running.terminal, _STARTS_WITHIN_SECONDS)
        yield running


@pytest.fixture(scope="package")
def days(stack: RunningStack) -> tuple[date, ...]:
    """Three days in the topic, published in order, as it requires."""
    produced = (days_ago(4), days_ago(3), days_ago(2))
    for day in produced:
        stack.produce(day)
    return produced


@pytest.hookimpl
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark these tests as real, and exclude the stack's start from each test's time limit."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.real)
            item.add_marker(pytest.mark.timeout(func_only=True))
