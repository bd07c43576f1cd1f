"""A plugin of pytest-xdist that spreads all tests over the workers, but keeps this folder's on one of them.

Each worker would else start a broker of its own. Groups (``--dist loadgroup``) would do, but pytest-xdist 3.8 does not
see them with pytest 9.2.
"""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_FOLDER = "game_analytics_tests/kafka/"


class OneWorkerForKafka(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Hands out tests one by one, and this folder as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return _FOLDER if nodeid.startswith(_FOLDER) else nodeid


@pytest.hookimpl(optionalhook=True)  # unknown where pytest-xdist is switched off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneWorkerForKafka:
    """Whatever ``--dist`` says."""
    return OneWorkerForKafka(config, log)
