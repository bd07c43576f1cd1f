"""Plugins of pytest: which worker of pytest-xdist runs which test, and a summary of the counted trials."""

from collections.abc import Iterator

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_FOLDERS = ("game_analytics_tests/sources/kafka/", "game_analytics_tests/local_stack/stack/")
"""Folders whose tests share servers: they run on one worker, since each worker would start the servers for itself.
Groups (``--dist loadgroup``) would do, but pytest-xdist 3.8 does not see them with pytest 9.2."""

_OUTCOMES = ("passed", "failed")


class OneWorkerForAFolder(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands out tests one by one, and these folders as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in _FOLDERS if nodeid.startswith(folder)), nodeid)


@pytest.hookimpl(optionalhook=True)  # unknown where pytest-xdist is switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneWorkerForAFolder:
    """Whatever ``--dist`` says."""
    return OneWorkerForAFolder(config, log)


@pytest.hookimpl
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for each ``record_property("trial", …)``, also from other workers, sorted by text."""
    lines = sorted(_trials(terminalreporter))
    if lines:
        terminalreporter.section("trials")
        for line in lines:
            terminalreporter.line(line)


def _trials(reporter: pytest.TerminalReporter) -> Iterator[str]:
    for outcome in _OUTCOMES:
        for report in reporter.getreports(outcome):
            note = "" if outcome == "passed" else " (FAILED)"
            yield from (f"{line}{note}" for name, line in report.user_properties if name == "trial")
