"""The pipeline on an instance in memory or on disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from game_analytics.definitions import pipeline as definitions_on
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics_tests.support.harness import Pipeline, pipeline_on, small_simulation
from game_analytics_tests.support.lakes import lake_in_memory as lake_resource

__all__ = ["lake_resource"]


@pytest.fixture
def pipeline(lake_resource: LakeResource) -> Iterator[Pipeline]:
    """The pipeline on a new lake and instance."""
    with pipeline_on(lake_resource) as on_a_new_lake:
        yield on_a_new_lake


@pytest.fixture
def pipeline_on_s3(lake_on_s3: LakeResource) -> Iterator[Pipeline]:
    """As `pipeline`, on a real S3 API."""
    with pipeline_on(lake_on_s3) as on_a_new_lake:
        yield on_a_new_lake


@pytest.fixture(scope="session")
def blank_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an empty persistent instance. Tests copy it, since creating one takes a second."""
    home = tmp_path_factory.mktemp("blank_home")
    with dg.DagsterInstance.local_temp(str(home)):
        return home


@pytest.fixture
def home(blank_home: Path, tmp_path: Path) -> Path:
    """The folder of a new persistent instance."""
    return Path(shutil.copytree(blank_home, tmp_path / "home"))


@pytest.fixture
def kept(home: Path, lake_resource: LakeResource) -> Iterator[Pipeline]:
    """As `pipeline`, on an instance that stores its history in SQLite files, as in development."""
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield Pipeline(
            definitions_on(small_simulation(), lake_resource, PipelineSettings()),
            lake_resource,
            instance,
        )
