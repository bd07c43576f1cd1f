"""Jars, fetched once by the user's own Maven from the repositories that it is configured for."""

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from game_analytics.errors import GameAnalyticsError, Unavailable

_FETCHED_WITHIN_SECONDS = 300.0

_POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>game-analytics</groupId>
  <artifactId>{name}</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""

_DEPENDENCY = """\
    <dependency>
      <groupId>{artifact.group}</groupId>
      <artifactId>{artifact.name}</artifactId>
      <version>{artifact.version}</version>
    </dependency>"""


@dataclass(frozen=True)
class Artifact:
    """The Maven coordinates of a library."""

    group: str
    name: str
    version: str


def ensure_jars(jars: Path, what: str, artifacts: Sequence[Artifact], search_path: str | None = None) -> None:
    """Fetch these artifacts and their dependencies into the folder, unless it exists.

    It is renamed to ``jars`` when complete, so another process never sees a part of it. ``what`` names the artifacts
    in errors: ``Kafka 4.4.0``.
    Raises `GameAnalyticsError` if Maven is not on the PATH, `Unavailable` if it could not fetch them.
    """
    if jars.exists():
        return
    maven = shutil.which("mvn", path=search_path)
    if maven is None:
        raise GameAnalyticsError(
            f"{what} is fetched by Maven, and there is no mvn on the PATH. "
            "Install it (on Debian: apt-get install maven)."
        )
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{jars.name}-", dir=jars.parent) as work:
        dependencies = "\n".join(_DEPENDENCY.format(artifact=each) for each in artifacts)
        (Path(work) / "pom.xml").write_text(_POM.format(name=f"local-{jars.name}", dependencies=dependencies))
        _run_maven(maven, Path(work), what)
        try:
            (Path(work) / "jars").rename(jars)
        except OSError:
            if not jars.exists():  # else another process has fetched the same jars
                raise


def _run_maven(maven: str, work: Path, what: str) -> None:
    command = [maven, "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=jars"]
    try:
        # In the user's environment, which has Maven's settings and proxies.
        subprocess.run(  # noqa: S603 (no shell)
            command,
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_FETCHED_WITHIN_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired as slow:
        raise Unavailable(f"Maven did not fetch {what} within {_FETCHED_WITHIN_SECONDS:.0f} s. Try again.") from slow
    except subprocess.CalledProcessError as failed:
        raise Unavailable(
            f"Maven could not fetch {what} (exit code {failed.returncode}). It says:\n{failed.stdout}"
        ) from failed
