"""The S3 server of the benchmarks, and simulated days in Kafka.

Imports little: on Linux a child process starts with its parent's peak of memory, which `kafka.py` measures.
"""

import subprocess
import sys
from pathlib import Path

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.kafka_broker import Broker
from game_analytics.local_stack.ports import free_ports
from game_analytics.local_stack.seaweedfs import WHEEL, SeaweedFS, find_weed

DAY = "2025-12-30"


def s3_server(folder: Path) -> SeaweedFS:
    """An S3 server on a free port, not started yet. Raises `GameAnalyticsError` if SeaweedFS is not installed."""
    weed = find_weed()
    if weed is None:
        raise GameAnalyticsError(f"The benchmark needs an S3 server, and {WHEEL} does not exist for this system.")
    [port] = free_ports(1)
    return SeaweedFS(folder, port, weed)


def program(name: str) -> Path:
    """A program that is installed beside our Python."""
    return Path(sys.executable).with_name(name)


def publish_day(broker: Broker, topic: str, events: int) -> None:
    """Publish a simulated `DAY` with so many events to a new topic, by the command that a user would run."""
    where = ("--bootstrap-servers", broker.bootstrap_servers, "--topic", topic, "--create-topic")
    command = (program("game-analytics"), "produce", *where, "--day", DAY, "--events", str(events))
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)  # noqa: S603 - a program of ours
