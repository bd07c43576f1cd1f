"""Spark's connector to S3, which is not part of Spark: Maven fetches it once, beside the rivals' environment."""

import subprocess
from pathlib import Path

from game_analytics.errors import GameAnalyticsError

_HADOOP_VERSION = "3.5.0"
"""The version of the Hadoop client in pyspark, which the connector must match."""

_JARS = {
    "org.apache.hadoop:hadoop-aws": _HADOOP_VERSION,
    # What this version is built with: the whole AWS SDK of half a gigabyte, and a library that it loads even if unused.
    "software.amazon.awssdk:bundle": "2.35.4",
    "software.amazon.s3.analyticsaccelerator:analyticsaccelerator-s3": "1.3.1",
}


def fetched(folder: Path) -> Path:
    """Fetch the connector's jars unless they are in the folder, and return it. Raises `GameAnalyticsError`."""
    pom, ready = folder / "pom.xml", folder / "ready"
    if not ready.exists() or pom.read_text() != _pom():
        folder.mkdir(parents=True, exist_ok=True)
        pom.write_text(_pom())
        command = ["mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", f"-DoutputDirectory={folder}"]
        try:
            subprocess.run(command, cwd=folder, check=True)  # noqa: S603 - no shell
        except (OSError, subprocess.CalledProcessError) as error:
            raise GameAnalyticsError(f"Spark's connector to S3 is fetched by Maven: {error}.") from error
        ready.touch()
    return folder


def _pom() -> str:
    # Its other dependencies are in pyspark already, or not needed for reading.
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>"
        "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>"
        for (group, _, artifact), version in ((name.partition(":"), version) for name, version in _JARS.items())
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>game-analytics</groupId><artifactId>spark-s3</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>\n"
    )
