"""Schema Registry framing: which schema a message names, and where its body begins. Pure.

Confluent's clients write byte 0 and an id of 4 bytes before the body, or leave the body alone and name the schema in
the header ``__value_schema_id``: byte 0 and an id of 4 bytes, or byte 1 and a GUID of 16. A header wins over the value,
as in their own reader, since a bare body may begin with byte 0, too.
"""

import uuid

import polars as pl

from game_analytics.sources.formats.frame import GLUE, LEAST_GLUE

FRAMES = pl.Schema({"schema": pl.Binary(), "body": pl.Binary(), "appendix": pl.Binary()})
"""One row per message. ``schema``: the id (4 bytes, big-endian) or the GUID (16 bytes) of its schema; null if it names
none, then ``body`` is the whole value. ``appendix``: what follows in the header, Protobuf's message indexes; null if
the schema is named in the value."""

_MAGIC = b"\x00"
_ID_BYTES = 4
_GUID_BYTES = 16
_HEADER = "__value_schema_id"

_NO_ID = b"\x00\x00\x00\x00"
"""No registry gives id 0: it is the first half of an id of 8 bytes, as Apicurio's clients write it."""

_APICURIO_HEADERS = ("apicurio.value.globalId", "apicurio.value.contentId")
_AZURE_CONTENT_TYPE = b"avro/binary+"


def frames(messages: pl.DataFrame) -> pl.DataFrame:
    """`FRAMES` of messages with the columns ``value`` and ``headers``, row by row."""
    framed = messages.select("value").with_columns(_in_value())
    in_header = _in_headers(messages)
    if in_header.height:
        named = framed.with_row_index("row").join(in_header, on="row", how="left", maintain_order="left")
        is_named = pl.col("schema_right").is_not_null()
        framed = named.with_columns(
            pl.coalesce("schema_right", "schema").alias("schema"),
            pl.when(is_named).then("value").otherwise("body").alias("body"),
            pl.coalesce("appendix_right", "appendix").alias("appendix"),
        )
    return framed.select(FRAMES.names())


def _in_value() -> list[pl.Expr]:
    """The schema that a value names, and what follows it."""
    value = pl.col("value")
    schema = value.bin.slice(1, _ID_BYTES)
    is_framed = value.bin.starts_with(_MAGIC) & (value.bin.size() > _ID_BYTES) & (schema != _NO_ID)
    return [
        pl.when(is_framed).then(schema).alias("schema"),
        pl.when(is_framed).then(value.bin.slice(1 + _ID_BYTES)).otherwise(value).alias("body"),
        pl.lit(None, pl.Binary).alias("appendix"),
    ]


def _in_headers(messages: pl.DataFrame) -> pl.DataFrame:
    """``row``, ``schema`` and ``appendix`` of the messages that name their schema in a header. A tombstone has none."""
    present = messages.with_columns(pl.when(pl.col("value").is_not_null()).then("headers").alias("headers"))
    value = pl.col("value")
    is_guid = value.bin.starts_with(b"\x01") & (value.bin.size() > _GUID_BYTES)
    is_id = value.bin.starts_with(_MAGIC) & (value.bin.size() > _ID_BYTES)
    length = pl.when(is_guid).then(_GUID_BYTES).otherwise(_ID_BYTES)
    return (
        _header(present, pl.col("name") == _HEADER)
        .filter(is_guid | is_id)
        .select("row", schema=value.bin.slice(1, length), appendix=value.bin.slice(1 + length))
    )


def other_framing(messages: pl.DataFrame) -> pl.Series:
    """For each message that names no schema of ours, the reason that names the framing of another kind, if its bytes or
    headers show one; else null."""
    value = pl.col("value")
    is_glue = pl.any_horizontal(value.bin.starts_with(start) for start in GLUE) & (value.bin.size() >= LEAST_GLUE)
    is_apicurio = value.bin.starts_with(_MAGIC + _NO_ID)
    reasons = messages.select(
        pl.when(is_glue).then(pl.lit("glue_framing")).when(is_apicurio).then(pl.lit("apicurio_framing"))
    ).to_series()
    by_header = {
        "apicurio_framing": pl.col("name").is_in(_APICURIO_HEADERS),
        "azure_framing": (pl.col("name") == "content-type") & pl.col("value").bin.starts_with(_AZURE_CONTENT_TYPE),
    }
    for reason, is_named in by_header.items():
        rows = _header(messages, is_named)["row"]
        reasons = reasons.scatter(rows, reason) if len(rows) else reasons
    return reasons


def schema_name(schema: bytes) -> str:
    """A schema of `FRAMES` as people write it: its number, or its GUID."""
    return str(int.from_bytes(schema, "big")) if len(schema) == _ID_BYTES else str(uuid.UUID(bytes=schema))


def _header(messages: pl.DataFrame, condition: pl.Expr) -> pl.DataFrame:
    """``row`` and ``value`` of the last header of each message that fulfils the condition."""
    headers = messages.select("headers").with_row_index("row").drop_nulls()
    rows = headers.explode("headers").select("row", pl.col("headers").struct.field("name", "value"))
    return rows.filter(condition).group_by("row").last()
