"""Avro: bodies that were written by one schema, many at a time.

Polars reads a block of records in a tenth of the time that fastavro takes for single ones, but as one stream: behind a
body that does not fit its schema, others may come out wrong without an error. So each body is followed by its number,
as one more field of the record. Where a number is not the expected one, or a block can't be read, fastavro judges
message by message. Both get a simpler schema of the same bytes: an enum is its index, a logical type the type below it.
Of bytes that no writer writes, two are not seen: a branch that a nullable union lacks, in a block, and a negative index
of an enum in a union of several types.
"""

import io
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count
from typing import Any

import fastavro
import polars as pl
from fastavro.schema import SchemaParseException, UnknownType

from game_analytics.sources.formats.registry_schema import Malformed, Schema, Unsupported
from game_analytics.sources.formats.typed_fields import MISMATCH, WANTED, Kind, Typed, fields_of, microseconds

_CHUNK = 2_000
"""Bodies in a block."""
_PIECE = 100
"""A block that can't be read is cut into blocks of so many bodies; one of these is judged message by message."""
_MOST_FAILED = 40
"""Failed blocks after which a decoder no longer tries: Polars writes each panic to standard error."""
_MARK = struct.Struct("<d")
_MARKS = [_MARK.pack(number) for number in range(_CHUNK)]
_STRUCTURE = {"type", "name", "namespace", "fields", "symbols", "size", "items", "values"}
_NAMES = {"name", "namespace", "symbols", "size"}
_SYNC = b"game_analytics: "
_TIMES = {
    "timestamp-millis": (Kind.INSTANT, 3),
    "timestamp-micros": (Kind.INSTANT, 6),
    "timestamp-nanos": (Kind.INSTANT, 9),
    "local-timestamp-millis": (Kind.LOCAL, 3),
    "local-timestamp-micros": (Kind.LOCAL, 6),
    "local-timestamp-nanos": (Kind.LOCAL, 9),
}
_COMPLEX = {"record", "error", "enum", "fixed", "array", "map"}
_NO_NUMBERS = {"date", "time-millis", "time-micros"}
"""Logical types of integers that are no moment."""
_LOGICAL = _TIMES.keys() | _NO_NUMBERS


@dataclass(frozen=True)
class _Column:
    """Values of one kind of one field."""

    field: str
    kind: Kind
    dtype: pl.DataType
    digits: int = 0
    """Decimal places of the seconds that a time counts."""
    symbols: tuple[str, ...] | None = None
    """Of an enum, whose values are indices then."""
    bits: int = 0
    """Of integers. Those of 32 are read as 64, so that larger ones are seen."""
    is_alone: bool = True
    """Whether the field has no values of other kinds."""

    @property
    def name(self) -> str:
        return self.field if self.is_alone else f"{self.field} {self.kind.name}"

    def takes(self, value: object) -> bool:
        """Whether a value belongs into this column."""
        if value is None or self.is_alone:
            return value is not None
        if isinstance(value, bool):
            return self.kind is Kind.WRONG
        if isinstance(value, int | float):
            return self.dtype == (pl.Int64 if isinstance(value, int) else pl.Float64)
        return self.kind is (Kind.TEXT if isinstance(value, str) else Kind.WRONG)

    def as_judged(self) -> pl.Expr:
        """The column as Polars reads it, in the type that it has in `of`."""
        read = pl.col(self.name)
        return (
            pl.when(read.is_not_null()).then(True).alias(self.name)
            if self.kind is Kind.WRONG
            else read.cast(self.dtype)
        )

    def of(self, records: Sequence[Mapping[str, Any] | None]) -> pl.Series:
        """The column of these records; null where there is none."""
        values = [None if record is None else record[self.field] for record in records]
        taken = [value if self.takes(value) else None for value in values]
        if self.kind is Kind.WRONG:
            taken = [None if value is None else True for value in taken]
        return pl.Series(self.name, taken, dtype=self.dtype)


class AvroDecoder:
    """Decodes bodies that were written by one schema."""

    def __init__(self, schema: Schema) -> None:
        """Raises `Unsupported` if its messages can't be read, and `Malformed` if it is no schema at all."""
        record, named = _record_of(schema)
        wanted = [field for field in record["fields"] if field["name"] in WANTED]
        self._columns = [column for field in wanted for column in _columns(field["name"], field["type"], named)]
        simplified = _Simplified(named)
        simple = simplified.of(record)
        self._judge = fastavro.parse_schema(simple)
        self._mark = "mark" + "_" * max(len(field["name"]) for field in (*record["fields"], {"name": ""}))
        self._header = _header(simple, self._mark) if simplified.is_readable_in_blocks else None
        self._failed = 0
        no_fault = pl.when(pl.col(self._mark).is_null()).then(pl.lit(MISMATCH)).alias("fault")  # as long as the block
        self._as_judged = [*(column.as_judged() for column in self._columns), no_fault]

    def decode(self, bodies: pl.Series) -> pl.DataFrame:
        """The fields of each body, as `fields_of` returns them; the fault `MISMATCH` where one does not fit."""
        values = bodies.to_list()
        chunks = (self._chunk(values[start : start + _CHUNK]) for start in range(0, len(values), _CHUNK))
        return self._fields(pl.concat((piece for pieces in chunks for piece in pieces), rechunk=True))

    def _chunk(self, bodies: Sequence[bytes]) -> list[pl.DataFrame]:
        """The values of bodies: a column for each of ``_columns``, and ``fault``."""
        if self._header is None or self._failed >= _MOST_FAILED:
            return [self._judged(bodies)]
        read = self._block(self._header, bodies)
        if read is not None:
            return [read]
        pieces = [bodies[start : start + _PIECE] for start in range(0, len(bodies), _PIECE)]
        return [self._judged(piece) if (read := self._block(self._header, piece)) is None else read for piece in pieces]

    def _block(self, header: bytes, bodies: Sequence[bytes]) -> pl.DataFrame | None:
        """The values of bodies by Polars; None if one of them does not fit."""
        data = b"".join(chain.from_iterable(zip(bodies, _MARKS, strict=False)))
        block = b"".join((header, _long(len(bodies)), _long(len(data)), data, _SYNC))
        try:
            rows = pl.read_avro(io.BytesIO(block), columns=[*(column.name for column in self._columns), self._mark])
        except (Exception, pl.exceptions.PanicException):  # by the bytes, also OSError; a panic is no Exception
            self._failed += 1
            return None
        if not (rows[self._mark] == pl.int_range(len(bodies), eager=True)).all():
            self._failed += 1
            return None
        return rows.select(self._as_judged)

    def _judged(self, bodies: Sequence[bytes]) -> pl.DataFrame:
        """The values of bodies by fastavro, one by one."""
        records = [self._record(body) for body in bodies]
        faults = pl.Series("fault", [MISMATCH if record is None else None for record in records], dtype=pl.String)
        return pl.DataFrame([*(column.of(records) for column in self._columns), faults])

    def _record(self, body: bytes) -> Mapping[str, Any] | None:
        """The record, if the body holds it and nothing else."""
        stream = io.BytesIO(body)
        try:
            record = fastavro.schemaless_reader(stream, self._judge, None)
        except Exception:
            return None
        return record if stream.tell() == len(body) and isinstance(record, dict) else None

    def _fields(self, rows: pl.DataFrame) -> pl.DataFrame:
        typed: dict[str, list[Typed]] = {}
        mismatch = rows["fault"]
        for column in self._columns:
            values = rows[column.name]
            if column.symbols is not None:
                is_symbol = values.is_between(0, len(column.symbols) - 1)
                mismatch = mismatch.set((~is_symbol).fill_null(value=False), MISMATCH)
                values = pl.Series(column.symbols, dtype=pl.String).gather(values.set(~is_symbol, None))
            elif column.kind is Kind.NUMBER and column.bits == 32:
                mismatch = mismatch.set((~values.is_between(-(2**31), 2**31 - 1)).fill_null(value=False), MISMATCH)
            elif column.kind in {Kind.INSTANT, Kind.LOCAL}:
                values = microseconds(values, column.digits)
            typed.setdefault(column.field, []).append(Typed(column.kind, values))
        return fields_of(typed, mismatch)


def _record_of(schema: Schema) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema as fastavro writes it, with full names, and all named types by their names."""
    named: dict[str, Any] = {}
    parsed: Any = None
    for text in (*(text for _, text in schema.references), schema.text):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"it is no Avro schema ({error!r})") from None
        try:
            parsed = fastavro.parse_schema(_without_extras(document), named_schemas=named)
        except (ValueError, LookupError, TypeError, AttributeError, SchemaParseException, UnknownType) as error:
            raise Unsupported(f"fastavro can't read it: {error!r}") from None
    record = named.get(parsed) if isinstance(parsed, str) else parsed
    if not isinstance(record, dict) or record["type"] not in {"record", "error"}:
        raise Unsupported("its top level is no record")
    return record, named


def _without_extras(schema: Any) -> Any:
    """The schema without what does not change its bytes, but may be refused where a registry has taken it: defaults,
    aliases, texts for people, and logical types that are not read."""
    if isinstance(schema, list):
        return [_without_extras(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    is_known = schema.get("logicalType") in _LOGICAL
    kept = {name: each for name, each in schema.items() if name in _STRUCTURE or (is_known and name == "logicalType")}
    return {name: each if name in _NAMES else _without_extras(each) for name, each in kept.items()}


def _columns(field: str, schema: Any, named: Mapping[str, Any]) -> list[_Column]:
    """The columns that the values of a field go to."""
    branches = schema if isinstance(schema, list) else [schema]
    columns = [_column(field, branch, named) for branch in branches if branch != "null"]
    if len(columns) <= 1:
        return columns
    if len({(column.kind, column.digits) for column in columns if column.bits}) > 1:
        raise Unsupported(f"its {field} may be an integer of two meanings")
    texts = [_Column(field, Kind.TEXT, pl.String())] if any(column.kind is Kind.TEXT for column in columns) else []
    # Of int and long, both of one meaning, the wider one stands for both.
    others = sorted((column for column in columns if column.kind is not Kind.TEXT), key=lambda column: column.bits)
    by_dtype = {column.dtype: column for column in others}
    return [replace(column, is_alone=False) for column in (*texts, *by_dtype.values())]


def _column(field: str, schema: Any, named: Mapping[str, Any]) -> _Column:
    """The column of one type, which is no union."""
    while isinstance(schema, str) and schema in named:
        schema = named[schema]
    logical = None
    while isinstance(schema, dict) and isinstance(schema["type"], dict | str) and schema["type"] not in _COMPLEX:
        logical, schema = schema.get("logicalType", logical), schema["type"]
    column = _Column(field, Kind.WRONG, pl.Boolean())
    match schema:
        case "string":
            column = _Column(field, Kind.TEXT, pl.String())
        case {"type": "enum", "symbols": symbols}:
            column = _Column(field, Kind.TEXT, pl.Int64(), symbols=tuple(symbols))
        case "int" | "long":
            bits = 32 if schema == "int" else 64
            kind, digits = _TIMES.get(logical or "", (Kind.NUMBER, 0)) if bits == 64 else (Kind.NUMBER, 0)
            column = _Column(field, kind, pl.Int64(), digits, bits=bits)
            if logical in _NO_NUMBERS:
                column = _Column(field, Kind.WRONG, pl.Boolean(), bits=bits)
        case "float" | "double":
            column = _Column(field, Kind.NUMBER, pl.Float64())
    return column


class _Simplified:
    """Makes schemas of the same bytes that hold nothing but what Polars reads, where that is possible."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._open: set[int] = set()
        """The records that are being simplified, by their identity."""
        self._names = (f"type{number}" for number in count())
        self.is_readable_in_blocks = True
        """Whether Polars can read what was made so far."""

    def of(self, schema: Any, *, keeps_enums: bool = False) -> Any:
        """The schema, simplified. ``keeps_enums``: for a union of several types, where an index could be any integer.
        Raises `Unsupported`."""
        while isinstance(schema, str) and schema in self._named:
            schema = self._named[schema]
        simple = schema
        match schema:
            case list(branches):
                simple = self._union(branches)
            case {"type": "enum", "symbols": symbols}:
                enum = {"type": "enum", "name": next(self._names), "symbols": symbols}
                simple = enum if keeps_enums else "long"
            case "int":
                simple = "long"
            case {"type": "fixed", "size": size}:
                simple = {"type": "fixed", "name": next(self._names), "size": size}
            case {"type": "array", "items": items}:
                simple = self._array(self.of(items))
            case {"type": "map", "values": values}:
                entry = [{"name": "key", "type": "string"}, {"name": "value", "type": self.of(values)}]
                simple = self._array({"type": "record", "name": next(self._names), "fields": entry})
            case {"type": "record" | "error"}:
                simple = self._record(schema)
            case {"type": inner}:
                simple = self.of(inner, keeps_enums=keeps_enums)
        return simple

    def _record(self, schema: Mapping[str, Any]) -> Any:
        if id(schema) in self._open:
            # How deep a message is nested would be up to its bytes, and fastavro calls itself for each level.
            raise Unsupported("it contains itself")
        self._open.add(id(schema))
        fields = [{"name": field["name"], "type": self.of(field["type"])} for field in schema["fields"]]
        self._open.remove(id(schema))
        return {"type": "record", "name": next(self._names), "fields": fields}

    def _union(self, branches: Sequence[Any]) -> list[Any]:
        if len(branches) != 2 or "null" not in branches:
            self.is_readable_in_blocks = False
        has_several = len([branch for branch in branches if branch != "null"]) > 1
        return [self.of(branch, keeps_enums=has_several) for branch in branches]

    @staticmethod
    def _array(items: Any) -> dict[str, Any]:
        if _may_be_nothing(items):
            # A few bytes could then ask for any number of them, and reading would not end.
            raise Unsupported("it has an array of values that take no bytes")
        return {"type": "array", "items": items}


def _may_be_nothing(simple: Any) -> bool:
    """Whether values of a schema may take no bytes."""
    if isinstance(simple, dict) and simple["type"] == "record":
        return all(_may_be_nothing(field["type"]) for field in simple["fields"])
    return simple == "null" or (isinstance(simple, dict) and simple["type"] == "fixed" and not simple["size"])


def _header(simple: Mapping[str, Any], mark: str) -> bytes:
    """The beginning of an Avro file of such records, each with a mark behind it, up to the first block."""
    marked = {**simple, "fields": [*simple["fields"], {"name": mark, "type": "double"}]}
    schema = json.dumps(marked).encode()
    entries = ((b"avro.codec", b"null"), (b"avro.schema", schema))
    texts = b"".join(_long(len(text)) + text for entry in entries for text in entry)
    return b"Obj\x01" + _long(len(entries)) + texts + _long(0) + _SYNC


def _long(number: int) -> bytes:
    """A length as Avro writes it: zigzag, 7 bits a byte, the lowest first."""
    rest, written = number << 1, bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*written, rest])
