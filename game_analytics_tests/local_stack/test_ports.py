"""A port in use is noticed before anything is started, and the error names the process that holds it."""

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from game_analytics.errors import GameAnalyticsError
from game_analytics.local_stack.dev import DevSettings, run_dev
from game_analytics.local_stack.ports import free_ports, require_free_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port on which this process listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_free_port_is_free() -> None:
    [port] = free_ports(1)
    require_free_port(port, "the UI", "--port")


def test_a_port_in_use_is_reported_with_its_process_and_the_next_step(taken: int) -> None:
    with pytest.raises(GameAnalyticsError) as refusal:
        require_free_port(taken, "the Dagster UI", "--port")
    message = str(refusal.value)
    assert f"Port {taken} on 127.0.0.1 is taken" in message
    assert "choose another port: --port PORT" in message
    if Path("/proc/net/tcp").exists():  # other systems show it to root only
        assert f"by process {os.getpid()} (" in message


def test_a_port_in_use_on_all_addresses_is_in_use() -> None:
    everywhere = ("0.0.0.0", 0)  # noqa: S104 (that is what is tested)
    with socket.create_server(everywhere) as server, pytest.raises(GameAnalyticsError, match="is taken"):
        require_free_port(server.getsockname()[1], "the UI", "--port")


def test_a_number_out_of_range_is_refused() -> None:
    with pytest.raises(GameAnalyticsError, match=re.escape("65536 is no port for the UI. Choose one from 1 to 65535")):
        require_free_port(65536, "the UI", "--port")


def test_dev_starts_nothing_when_the_port_of_its_ui_is_in_use(settings: DevSettings, taken: int) -> None:
    with pytest.raises(GameAnalyticsError, match=f"Port {taken} .* the Dagster UI needs it.* --port PORT"):
        run_dev(replace(settings, ui_port=taken))
    assert not (settings.directory / "s3").exists()


def test_dev_starts_nothing_when_the_port_of_its_s3_server_is_in_use(settings: DevSettings, taken: int) -> None:
    with pytest.raises(GameAnalyticsError, match=f"Port {taken} .* the S3 server needs it.* --s3-port PORT"):
        run_dev(replace(settings, s3_port=taken))
    assert not (settings.directory / "s3").exists()
