"""Stats files for the tests of the ranking, one DuckDB connection for each module."""

from collections.abc import Iterator

import pytest

from game_analytics_tests.support.stats_files import StatsFiles


@pytest.fixture(scope="module")
def stats_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StatsFiles]:
    files = StatsFiles(tmp_path_factory.mktemp("stats"))
    yield files
    files.close()
