"""Servers that tests run against, fetched once by Maven or built once by Go, and kept in the user's cache folder."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from game_analytics.errors import GameAnalyticsError, Unavailable

_FETCHED_WITHIN_SECONDS = 300


def by_maven(folder: Path, artifact: str) -> Path:
    """The folder with the file of ``group:name:version:packaging[:classifier]``.

    Raises `GameAnalyticsError` if there is no Maven, `Unavailable` if it could not fetch it.
    """
    maven = _program("mvn", artifact, "maven")

    def fetch(work: Path) -> None:
        copy = ["--quiet", "--batch-mode", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={work}"]
        _run([maven, *copy], work, artifact, os.environ)

    return _kept(folder, fetch)


def by_go(folder: Path, package: str) -> Path:
    """The folder with the program of ``path/of/package@version``.

    Raises `GameAnalyticsError` if there is no Go, `Unavailable` if it could not build it.
    """
    go = _program("go", package, "golang-go of Debian 13 or newer")

    def build(work: Path) -> None:
        _run([go, "install", package], work, package, {**os.environ, "GOBIN": str(work)})

    return _kept(folder, build)


def _program(name: str, what: str, debian_package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise GameAnalyticsError(
            f"{what} needs {name}, and it is not on the PATH. Install it (on Debian: apt-get install {debian_package})."
        )
    return found


def _run(command: Sequence[str], work: Path, what: str, environment: Mapping[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - no shell
        command,
        cwd=work,
        env=environment,
        text=True,
        capture_output=True,
        timeout=_FETCHED_WITHIN_SECONDS,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"{what} could not be fetched. {command[0]} says:\n{done.stdout}{done.stderr}")


def _kept(folder: Path, fill: Callable[[Path], None]) -> Path:
    """The folder, filled if it does not exist yet. It is renamed when complete, so nobody sees a part of it."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}-", dir=folder.parent) as work:
        filled = Path(work) / "filled"
        filled.mkdir()
        fill(filled)
        try:
            filled.rename(folder)
        except OSError:
            if not folder.exists():  # else another process has fetched the same
                raise
    return folder
