"""The client of a Schema Registry. Confluent's own is used for fetching schemas alone: its deserializers take ten
times as long as landing may."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from queue import Empty, Queue

import httpx2
from confluent_kafka.schema_registry import Schema as Registered
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.error import OAuthTokenError, SchemaRegistryError

from game_analytics.errors import GameAnalyticsError, Unavailable
from game_analytics.sources.formats.registry import RegistrySettings
from game_analytics.sources.formats.registry_frame import schema_name
from game_analytics.sources.formats.registry_schema import Schema, SchemaType

_RETRIES = 2
_ANSWERS_WITHIN_SECONDS = 10
_DONE_WITHIN_SECONDS = 14
_TYPES: Mapping[str, SchemaType] = {"AVRO": "AVRO", "PROTOBUF": "PROTOBUF", "JSON": "JSON"}
_UNKNOWN = {40401, 40402, 40403}
"""The registry's codes for a subject, a version and a schema that it does not have."""


class Registry:
    """Fetches schemas. It does not remember them."""

    def __init__(self, client: SchemaRegistryClient, url: str) -> None:
        self._client = client
        self.url = url

    @classmethod
    @contextmanager
    def opened(cls, settings: RegistrySettings) -> Iterator["Registry"]:
        """Nothing is asked before the first schema. Raises `GameAnalyticsError` if a property is wrong."""
        tries = (_RETRIES + 1) * len(settings.url.split(","))
        ours = {
            "url": settings.url,
            "timeout": _ANSWERS_WITHIN_SECONDS / tries,  # the client's own default is to wait for ever
            "max.retries": _RETRIES,
            "retries.wait.ms": 500,
            "retries.max.wait.ms": 1_000,
        }
        try:
            client = SchemaRegistryClient({**settings.properties, **ours})
        except (ValueError, TypeError, OSError, httpx2.InvalidURL) as error:
            raise GameAnalyticsError(
                f"The Schema Registry's client can't be created: {error}. Fix the file that "
                "SCHEMA_REGISTRY_CONFIG_FILE names."
            ) from None
        with client:
            yield cls(client, settings.url)

    def schema(self, reference: bytes) -> Schema | None:
        """The schema with this id or GUID (`registry_frame.FRAMES`), and all that it refers to; None if the registry
        does not have it.

        Raises `Unavailable` if the registry does not answer within 15 seconds, and `GameAnalyticsError` if it refuses
        or is none.
        """
        # In a thread: the client's timeout is for each piece of an answer, and there may be many, and several schemas.
        done: Queue[Schema | Exception | None] = Queue()
        threading.Thread(target=lambda: done.put(self._result(reference)), daemon=True).start()
        try:
            result = done.get(timeout=_DONE_WITHIN_SECONDS)
        except Empty:
            raise self._unanswered(schema_name(reference), f"no whole answer within {_DONE_WITHIN_SECONDS} s") from None
        if isinstance(result, Exception):
            raise result
        return result

    def _result(self, reference: bytes) -> Schema | Exception | None:
        try:
            return self._schema(reference)
        except Exception as error:
            return error

    def _schema(self, reference: bytes) -> Schema | None:
        name = schema_name(reference)
        try:
            if len(reference) == 4:
                found = self._client.get_schema(int.from_bytes(reference, "big"))
            else:
                found = self._client.get_schema_by_guid(name)
            references: dict[str, str] = {}
            self._add_references(found, references)
        except SchemaRegistryError as error:
            if error.http_status_code == 404 and error.error_code in _UNKNOWN:
                return None
            raise self._refused(error, name) from None
        except (OAuthTokenError, httpx2.HTTPError) as error:
            raise self._unanswered(name, f"{type(error).__name__}: {error}".rstrip(": .")) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._no_registry(name) from None
        kind = _TYPES.get(found.schema_type or "AVRO")
        if kind is None or not isinstance(found.schema_str, str):
            raise self._no_registry(name)
        return Schema(kind, found.schema_str, tuple(references.items()))

    def _add_references(self, schema: Registered, found: dict[str, str]) -> None:
        """Those of a schema, each after its own. Raises what the client raises."""
        for each in schema.references or ():
            if None in {each.name, each.subject, each.version}:
                raise ValueError
            if each.name not in found:
                referred = self._client.get_version(str(each.subject), int(each.version or 0), deleted=True).schema
                self._add_references(referred, found)
                found[str(each.name)] = str(referred.schema_str)

    def _unanswered(self, name: str, why: str) -> Unavailable:
        return Unavailable(
            f"The Schema Registry at {self.url} was asked for schema {name} and does not answer ({why}). Nothing was "
            "committed. Start it, or check SCHEMA_REGISTRY_URL, and TLS and credentials in the file that "
            "SCHEMA_REGISTRY_CONFIG_FILE names. Then run again."
        )

    def _refused(self, error: SchemaRegistryError, name: str) -> GameAnalyticsError:
        status = error.http_status_code
        asked = f"The Schema Registry at {self.url} was asked for schema {name} and"
        if status in {401, 403}:
            return GameAnalyticsError(
                f"{asked} refuses the credentials (HTTP {status}). Nothing was committed. Set "
                "`basic.auth.user.info=user:password` in the file that SCHEMA_REGISTRY_CONFIG_FILE names, or allow "
                "this user to read schemas."
            )
        if status == 404:
            return self._no_registry(name)
        if status == 429 or status >= 500:
            return Unavailable(
                f"{asked} fails: HTTP {status}. Nothing was committed. Run again; if it stays, look at its log."
            )
        return GameAnalyticsError(f"{asked} refuses: HTTP {status}, code {error.error_code}. Nothing was committed.")

    def _no_registry(self, name: str) -> GameAnalyticsError:
        return GameAnalyticsError(
            f"{self.url} was asked for schema {name} and does not answer as a Schema Registry does. Nothing was "
            "committed. Check SCHEMA_REGISTRY_URL: is the path right (Apicurio's is /apis/ccompat/v7), is a proxy "
            "between?"
        )
