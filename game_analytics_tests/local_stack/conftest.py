"""Settings of a `dev` stack with a code location of one asset."""

from pathlib import Path

import pytest

from game_analytics.defs.abandoned_runs import close_abandoned_runs
from game_analytics.local_stack.dev import DevSettings
from game_analytics.local_stack.ports import free_ports

_ONE_ASSET = """
import os
import boto3
import dagster as dg

@dg.asset
def greeting() -> None:
    s3 = boto3.Session(region_name=os.environ["AWS_REGION"]).client("s3")
    s3.put_object(Bucket=os.environ["GAME_ANALYTICS_BUCKET"], Key="greeting", Body=b"hello")

defs = dg.Definitions(assets=[greeting], executor=dg.in_process_executor)
"""

_WORKSPACE = """
load_from:
  - python_module:
      module_name: tiny
      working_directory: .
      location_name: tiny
"""


@pytest.fixture
def settings(tmp_path: Path) -> DevSettings:
    """A stack whose code location has one asset, in a folder whose name a shell file must quote."""
    (tmp_path / "tiny.py").write_text(_ONE_ASSET)
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(_WORKSPACE)
    ui_port, s3_port = free_ports(2)
    return DevSettings(tmp_path / "it's, a $place", workspace, "test-bucket", ui_port, s3_port, close_abandoned_runs)
