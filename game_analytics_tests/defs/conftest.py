"""The pipeline that the sensor watches, on an instance in memory or on one that keeps its history on disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from game_analytics.definitions import pipeline as definitions_on
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics_tests.support.harness import Pipeline, pipeline_on, small_simulation


@pytest.fixture
def pipeline(lake_resource: LakeResource) -> Iterator[Pipeline]:
    """On a lake and an instance that are new and empty."""
    with pipeline_on(lake_resource) as on_a_new_lake:
        yield on_a_new_lake


@pytest.fixture(scope="session")
def blank_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a persistent instance without history: to be copied, since making one takes a second."""
    home = tmp_path_factory.mktemp("blank_home")
    with dg.DagsterInstance.local_temp(str(home)):
        return home


@pytest.fixture
def home(blank_home: Path, tmp_path: Path) -> Path:
    """The folder of a persistent instance of one's own."""
    return Path(shutil.copytree(blank_home, tmp_path / "home"))


@pytest.fixture
def kept(home: Path, lake_resource: LakeResource) -> Iterator[Pipeline]:
    """As `pipeline`, on an instance that stores its history in SQLite files, as a laptop's does."""
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield Pipeline(
            definitions_on(small_simulation(), lake_resource, PipelineSettings()),
            lake_resource,
            instance,
        )
