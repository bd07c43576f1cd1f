"""A plugin of pytest that tells at the end what was tried: each test's ``record_property("trial", …)``, by test, also
from the workers of pytest-xdist."""

from collections.abc import Iterator

import pytest

_OUTCOMES = ("passed", "failed")


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A section of one line for each trial, sorted so that the order of the workers does not show."""
    lines = sorted(_trials(terminalreporter))
    if lines:
        terminalreporter.section("trials")
        for line in lines:
            terminalreporter.line(line)


def _trials(reporter: pytest.TerminalReporter) -> Iterator[str]:
    for outcome in _OUTCOMES:
        for report in reporter.getreports(outcome):
            note = "" if outcome == "passed" else " (FAILED)"
            yield from (f"{told}{note}" for name, told in report.user_properties if name == "trial")
