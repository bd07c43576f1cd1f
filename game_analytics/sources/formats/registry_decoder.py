"""Splits messages by their schemas, has each schema's decoded, and puts them together again."""

from collections.abc import Callable

import msgspec
import polars as pl

from game_analytics.errors import GameAnalyticsError
from game_analytics.sources.formats.avro import AvroDecoder
from game_analytics.sources.formats.format import KeptSchemas
from game_analytics.sources.formats.json import decode_values
from game_analytics.sources.formats.protobuf import ProtobufDecoder
from game_analytics.sources.formats.registry_client import Registry
from game_analytics.sources.formats.registry_frame import frames, other_framing, schema_name
from game_analytics.sources.formats.registry_schema import Malformed, Schema, Unsupported
from game_analytics.sources.formats.typed_fields import fields_of

_UNREADABLE = ("avro_or_protobuf", "not_utf8", "not_json")

_Decode = Callable[[pl.DataFrame], pl.DataFrame]
"""From messages of one schema, as `registry_frame.FRAMES`, to `rules.events.FIELDS`."""


class RegistryDecoder:
    """Decodes the messages of one day. Each schema is fetched once, an unknown one as well."""

    def __init__(self, registry: Registry, kept: KeptSchemas) -> None:
        self._registry = registry
        self._kept = kept
        self._decoders: dict[bytes, _Decode] = {}

    def decode(self, messages: pl.DataFrame) -> pl.DataFrame:
        """`FIELDS` of messages with ``value`` and ``headers``. Raises what fetching a schema raises."""
        framed = pl.concat([messages.select("value", "headers"), frames(messages)], how="horizontal")
        by_schema = framed.with_row_index("row").partition_by("schema", maintain_order=True, as_dict=True)
        parts = [
            (rows, _unnamed(rows) if schema is None else self._decoder(schema)(rows))
            for (schema,), rows in by_schema.items()
        ]
        if not parts:
            return decode_values(messages["value"])
        if len(parts) == 1:
            return parts[0][1]
        numbered = [fields.with_columns(row=rows["row"]) for rows, fields in parts]
        return pl.concat(numbered, how="diagonal").sort("row").drop("row")

    def _decoder(self, reference: bytes) -> _Decode:
        if reference not in self._decoders:
            self._decoders[reference] = self._made(reference)
        return self._decoders[reference]

    def _made(self, reference: bytes) -> _Decode:
        schema = self._schema(reference)
        if schema is None:
            return lambda rows: _all_faulty(rows, "unknown_schema")
        try:
            return _decoder_of(schema)
        except (Unsupported, RecursionError):  # the latter for a schema that is nested a thousand deep
            return lambda rows: _all_faulty(rows, "unsupported_schema")
        except Malformed as why:
            raise GameAnalyticsError(
                f"Schema {schema_name(reference)} of the Schema Registry at {self._registry.url} can't be used: {why}. "
                "Nothing was committed. Check SCHEMA_REGISTRY_URL, and look at the schema there."
            ) from None

    def _schema(self, reference: bytes) -> Schema | None:
        """As the registry has it, or else as it was kept when the day was landed before.

        Raises `GameAnalyticsError` if the two differ: then the registry was made anew, and gives its ids again.
        """
        name = schema_name(reference)
        schema, kept = self._registry.schema(reference), self._kept.get(name)
        if schema is None:
            return None if kept is None else self._read(kept, name)
        if kept is None:
            self._kept.keep(name, schema.to_json())
        elif self._read(kept, name) != schema:
            raise GameAnalyticsError(
                f"Schema {name} of the Schema Registry at {self._registry.url} is not the one that this day was landed "
                f"with before, which is kept at {self._kept.place(name)}. Ids are given once, so this registry was "
                "made anew, or is another one. Nothing was committed. Set SCHEMA_REGISTRY_URL to the former one; or "
                "delete that object, if all messages of the day were written by the new schema."
            )
        return schema

    def _read(self, kept: bytes, name: str) -> Schema:
        try:
            return Schema.from_json(kept)
        except msgspec.MsgspecError:
            raise GameAnalyticsError(
                f"{self._kept.place(name)}, where schema {name} is kept, is damaged. Nothing was committed. Restore "
                "it from a backup, or delete it: it is written again from the Schema Registry."
            ) from None


def _decoder_of(schema: Schema) -> _Decode:
    if schema.type == "AVRO":
        avro = AvroDecoder(schema)
        return lambda rows: avro.decode(rows["body"])
    if schema.type == "PROTOBUF":
        protobuf = ProtobufDecoder(schema)
        return lambda rows: protobuf.decode(rows["body"], rows["appendix"])
    return lambda rows: decode_values(rows["body"])


def _unnamed(rows: pl.DataFrame) -> pl.DataFrame:
    """The fields of messages that name no schema: of JSON as it is. For others the reason names their framing, where
    they have one."""
    fields = decode_values(rows["value"])
    unread = fields["fault"].is_in(_UNREADABLE).fill_null(value=False)
    if not unread.any():
        return fields
    framings = other_framing(rows)
    return fields.with_columns(fault=framings.zip_with(unread & framings.is_not_null(), fields["fault"]))


def _all_faulty(rows: pl.DataFrame, fault: str) -> pl.DataFrame:
    return fields_of({}, pl.repeat(fault, rows.height, dtype=pl.String, eager=True))
