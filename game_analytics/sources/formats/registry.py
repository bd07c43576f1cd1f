"""Avro, Protobuf and JSON by the schemas of a Schema Registry: the format, and how the registry is reached.

What it needs beside this file comes with the extra ``game-analytics[registry]``, and is imported when it is opened.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from game_analytics.errors import GameAnalyticsError
from game_analytics.rules.events import Decode
from game_analytics.sources.formats.format import Format, KeptSchemas
from game_analytics.sources.properties import PropertiesFile

_OURS = {
    "url",
    # Numbers, which a file can't give to this client.
    "timeout",
    "max.retries",
    "retries.wait.ms",
    "retries.max.wait.ms",
    "cache.capacity",
    "cache.latest.ttl.sec",
}
_FILE = PropertiesFile("Schema Registry properties", "SCHEMA_REGISTRY_CONFIG_FILE", _OURS.__contains__)


@dataclass(frozen=True)
class RegistrySettings:
    """A Schema Registry. They can be pickled, and never show passwords."""

    url: str
    """One URL, or several of the same registry, separated by commas."""
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further properties of Confluent's client: credentials, TLS."""

    @classmethod
    def read(cls, url: str, config_file: Path | None) -> "RegistrySettings":
        """With the properties of the file. Raises `GameAnalyticsError` if it can't be read."""
        return cls(url, {} if config_file is None else _FILE.read(config_file))


@dataclass(frozen=True)
class RegistryFormat(Format):
    """Messages that name their schema, in the value or in a header, as Confluent's clients write them. Those that name
    none are read as JSON."""

    settings: RegistrySettings
    on_request: Collection[str] = ("headers",)

    @contextmanager
    def opened(self, kept: KeptSchemas) -> Iterator[Decode]:
        try:
            from game_analytics.sources.formats.registry_client import Registry  # noqa: PLC0415
            from game_analytics.sources.formats.registry_decoder import RegistryDecoder  # noqa: PLC0415
        except ModuleNotFoundError as missing:
            raise GameAnalyticsError(
                f"GAME_ANALYTICS_EVENT_FORMAT is `registry`, and the module {missing.name} is missing. Install "
                "`game-analytics[registry]`."
            ) from None
        with Registry.opened(self.settings) as registry:
            yield RegistryDecoder(registry, kept).decode


def url_fault(urls: str) -> str | None:
    """What is wrong with the URLs of a registry, if anything: a clause without a subject."""
    for url in urls.split(","):
        try:
            parts = urlsplit(url.strip())
            is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_url = False
        if not is_url:
            return "is no URL such as http://registry:8081, or several separated by commas"
        if parts.username or parts.password:
            return (
                "holds credentials, which the UI would show. Put them as `basic.auth.user.info=user:password` into "
                "the file that SCHEMA_REGISTRY_CONFIG_FILE names"
            )
    return None
