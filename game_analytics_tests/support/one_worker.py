"""A plugin of pytest-xdist that spreads all tests over the workers, but keeps each of some folders on one of them.

Each worker would else start the servers of those tests for itself. Groups (``--dist loadgroup``) would do, but
pytest-xdist 3.8 does not see them with pytest 9.2.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_FOLDERS = ("game_analytics_tests/sources/kafka/", "game_analytics_tests/local_stack/stack/")


class OneWorkerForAFolder(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands out tests one by one, and these folders as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return next((folder for folder in _FOLDERS if nodeid.startswith(folder)), nodeid)


@pytest.hookimpl(optionalhook=True)  # unknown where pytest-xdist is switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneWorkerForAFolder:
    """Whatever ``--dist`` says."""
    return OneWorkerForAFolder(config, log)
