"""Protobuf: bodies that were written by one schema, each by the message type that it names."""

import base64
import binascii
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc_tools
import polars as pl
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from game_analytics.sources.formats.registry_schema import Schema, Unsupported
from game_analytics.sources.formats.typed_fields import (
    BEFORE_1970,
    LAST_SECOND,
    MISMATCH,
    WANTED,
    Kind,
    Typed,
    fields_of,
)

_CHUNK = 2_000
"""Messages that are objects at the same time."""
_COMPILED_WITHIN_SECONDS = 30
_MAIN = "schema.proto"
_FIRST = (0,)
_LONGEST_NUMBER = 10
"""Bytes of a number of 64 bits, 7 bits each."""
_TIMESTAMP = "google.protobuf.Timestamp"
_WRAPPERS = {
    f"google.protobuf.{name}Value" for name in ("String", "Int32", "Int64", "UInt32", "UInt64", "Float", "Double")
}
"""Messages with one field, ``value``: how a value that may be absent is written in older versions of Protobuf 3."""
_NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: pl.Int64(),
    FieldDescriptor.CPPTYPE_INT64: pl.Int64(),
    FieldDescriptor.CPPTYPE_UINT32: pl.Int64(),
    FieldDescriptor.CPPTYPE_UINT64: pl.UInt64(),
    FieldDescriptor.CPPTYPE_FLOAT: pl.Float64(),
    FieldDescriptor.CPPTYPE_DOUBLE: pl.Float64(),
}


class ProtobufDecoder:
    """Decodes bodies that were written by one schema, which may define several message types."""

    def __init__(self, schema: Schema) -> None:
        """Raises `Unsupported` if the schema is no Protobuf file that can be compiled, or defines no message."""
        files = _files(schema)
        self._file = files[-1]
        if not self._file.message_type:
            raise Unsupported("it defines no message")
        self.pool = DescriptorPool()
        try:
            for file in files:
                self.pool.Add(file)
            self.pool.FindFileByName(self._file.name)
        except (TypeError, KeyError) as error:
            raise Unsupported(f"it is no Protobuf file ({error})") from None
        self._readers = lru_cache(maxsize=None)(self._reader)

    def decode(self, bodies: pl.Series, appendices: pl.Series) -> pl.DataFrame:
        """The fields of each body, as `fields_of` returns them; the fault `MISMATCH` where one does not fit.

        ``appendices``: the message indexes where they stand in a header; null where they stand before the body.
        """
        named_in_value = appendices.null_count() == len(appendices)
        if named_in_value and bodies.bin.starts_with(b"\0").all():  # nearly always: the file's first message
            return self._of_type(_FIRST, bodies.bin.slice(1).to_list())
        values = [_located(body, appendix) for body, appendix in zip(bodies, appendices, strict=True)]
        types = [indexes for indexes, _ in values]
        if len(set(types)) == 1:
            return self._of_type(types[0], [body for _, body in values])
        parts = []
        for indexes in dict.fromkeys(types):
            rows = [row for row, of_row in enumerate(types) if of_row == indexes]
            fields = self._of_type(indexes, [values[row][1] for row in rows])
            parts.append(fields.with_columns(row=pl.Series(rows, dtype=pl.UInt32)))
        return pl.concat(parts, how="diagonal").sort("row").drop("row")

    def _of_type(self, indexes: tuple[int, ...] | None, bodies: Sequence[bytes]) -> pl.DataFrame:
        reader = None if indexes is None else self._readers(indexes)
        if reader is None:
            return fields_of({}, pl.repeat(MISMATCH, len(bodies), dtype=pl.String, eager=True))
        return reader.read(bodies)

    def _reader(self, indexes: tuple[int, ...]) -> "_MessageReader | None":
        """For the message type at this place of the file; None if it defines none there."""
        name, types = self._file.package, self._file.message_type
        for index in indexes:
            if not 0 <= index < len(types):
                return None
            found: DescriptorProto = types[index]
            name, types = f"{name}.{found.name}".removeprefix("."), found.nested_type
        return _MessageReader(self.pool.FindMessageTypeByName(name))


@dataclass(frozen=True)
class _Column:
    """How the values of one field are read."""

    kind: Kind
    dtype: pl.DataType
    values: Callable[[Sequence[Message]], Sequence[Any]]
    """One for each message: None where it is absent."""


class _MessageReader:
    """Reads messages of one type."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._parse: Callable[[bytes], Message] = GetMessageClass(descriptor).FromString
        self._nothing = GetMessageClass(descriptor)()
        self._columns = {field.name: _column(field) for field in descriptor.fields if field.name in WANTED}

    def read(self, bodies: Sequence[bytes]) -> pl.DataFrame:
        """The fields of each body, as `fields_of` returns them."""
        faults: list[str | None] = [None] * len(bodies)
        values: dict[str, list[Any]] = {name: [] for name in self._columns}
        for start in range(0, len(bodies), _CHUNK):
            messages = self._parsed(bodies, range(start, min(start + _CHUNK, len(bodies))), faults)
            for name, column in self._columns.items():
                values[name] += column.values(messages)
        typed = {
            name: [Typed(column.kind, pl.Series(values[name], dtype=column.dtype))]
            for name, column in self._columns.items()
        }
        return fields_of(typed, pl.Series(faults, dtype=pl.String))

    def _parsed(self, bodies: Sequence[bytes], rows: range, faults: list[str | None]) -> list[Message]:
        """The messages of these rows; an empty one, and its fault noted, where a body does not fit."""
        messages: list[Message] = []
        waiting = iter(bodies[rows.start : rows.stop])
        while len(messages) < len(rows):
            try:
                messages.extend(map(self._parse, waiting))
            except DecodeError:  # those before it are parsed
                faults[rows[len(messages)]] = MISMATCH
                messages.append(self._nothing)
        return messages


def _column(field: FieldDescriptor) -> _Column:
    name, get = field.name, attrgetter(field.name)
    if field.is_repeated:
        return _wrong(lambda messages: [True if len(get(message)) else None for message in messages])
    if field.message_type is None:
        return _scalar(field)
    if field.message_type.full_name == _TIMESTAMP:
        return _Column(
            Kind.INSTANT,
            pl.Int64(),
            lambda messages: [_microseconds(get(each)) if each.HasField(name) else None for each in messages],
        )
    if field.message_type.full_name in _WRAPPERS:
        kind, dtype = _type_of(field.message_type.fields_by_name["value"])
        return _Column(
            kind, dtype, lambda messages: [get(each).value if each.HasField(name) else None for each in messages]
        )
    return _wrong(lambda messages: [True if message.HasField(name) else None for message in messages])


def _scalar(field: FieldDescriptor) -> _Column:
    values = _values_of(field)
    if field.enum_type is not None:
        symbols: dict[int | None, str | None] = {None: None}
        symbols |= {number: each.name for number, each in field.enum_type.values_by_number.items()}
        return _Column(
            Kind.TEXT, pl.String(), lambda messages: [symbols.get(value, str(value)) for value in values(messages)]
        )
    kind, dtype = _type_of(field)
    if kind is Kind.WRONG:
        return _wrong(lambda messages: [None if value is None else True for value in values(messages)])
    return _Column(kind, dtype, values)


def _wrong(is_there: Callable[[Sequence[Message]], Sequence[Any]]) -> _Column:
    return _Column(Kind.WRONG, pl.Boolean(), is_there)


def _type_of(field: FieldDescriptor) -> tuple[Kind, pl.DataType]:
    if field.type == FieldDescriptor.TYPE_STRING:
        return Kind.TEXT, pl.String()
    if field.cpp_type in _NUMBERS:
        return Kind.NUMBER, _NUMBERS[field.cpp_type]
    return Kind.WRONG, pl.Boolean()


def _values_of(field: FieldDescriptor) -> Callable[[Sequence[Message]], list[Any]]:
    """The values of a field without parts; None where it is absent. Without presence a text that is empty and a number
    that is 0 are absent: they are not written. An enum's value 0 is its name there, as it may be a real one."""
    name, get, default = field.name, attrgetter(field.name), field.default_value
    if field.has_presence:
        return lambda messages: [
            value if (value := get(message)) != default or message.HasField(name) else None for message in messages
        ]
    if field.enum_type is not None:
        return lambda messages: list(map(get, messages))
    return lambda messages: [get(message) or None for message in messages]


def _microseconds(moment: Any) -> int:
    """Of a Timestamp; `BEFORE_1970` outside the years 1970 to 9999."""
    if not 0 <= moment.seconds <= LAST_SECOND:
        return BEFORE_1970
    return int(moment.seconds * 1_000_000 + moment.nanos // 1_000)


def _located(body: bytes, appendix: bytes | None) -> tuple[tuple[int, ...] | None, bytes]:
    """The message indexes, None if there are none, and the message."""
    if appendix is None and body.startswith(b"\0"):
        return _FIRST, body[1:]
    if appendix in {b"\0", b""}:
        return _FIRST, body
    source = body if appendix is None else appendix
    try:
        count, at = _zigzag(source, 0)
        indexes = []
        for _ in range(min(count, len(source))):
            index, at = _zigzag(source, at)
            indexes.append(index)
    except IndexError:
        return None, b""
    if not indexes:
        return None, b""
    return tuple(indexes), body[at:] if appendix is None else body


def _zigzag(source: bytes, at: int) -> tuple[int, int]:
    """A number of at most 64 bits, and where it ends. Raises IndexError if it is longer or cut off."""
    value = 0
    for length in range(_LONGEST_NUMBER):
        byte = source[at + length]
        value |= (byte & 0x7F) << (7 * length)
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at + length + 1
    raise IndexError


def _files(schema: Schema) -> list[FileDescriptorProto]:
    """The schema's file, last, after those that it imports. Registries hold the file's source, or, from Python's
    serializer, its descriptor in base64."""
    main = _MAIN
    while main in dict(schema.references):
        main = f"_{main}"
    texts = {**dict(schema.references), main: schema.text}
    described = {name: _descriptor(text) for name, text in texts.items()}
    sources = {name: text for name, text in texts.items() if described[name] is None}
    imported = {each for file in described.values() if file is not None for each in file.dependency} - {*described}
    if main not in sources and (imported := imported | {*sources}):
        sources[main] = 'syntax = "proto3";' + "".join(f'import "{name}";' for name in sorted(imported))
    files = {file.name: file for file in (_compiled(sources, main) if sources else [])}
    for name, file in described.items():
        if file is not None:
            file.name = name
            files.pop(name, None)
            files[name] = file
    return [*(file for name, file in files.items() if name != main), files[main]]


def _descriptor(text: str) -> FileDescriptorProto | None:
    """A file's descriptor in base64; None if the text is none."""
    try:
        file = FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, DecodeError):
        return None
    return file


def _compiled(sources: Mapping[str, str], main: str) -> list[FileDescriptorProto]:
    """The descriptors of a Protobuf file and of those that it imports, each after its own imports. Google's common
    types are found where their package is installed."""
    with TemporaryDirectory() as folder:
        root = Path(folder, "sources")
        for name, text in sources.items():
            path = root / name
            if not path.resolve().is_relative_to(root.resolve()):
                raise Unsupported(f"it imports {name}, which is no name of a file")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        output = Path(folder, "compiled")
        paths = [f"-I{root}", f"-I{Path(str(grpc_tools.__file__)).parents[1]}"]
        command = ["-m", "grpc_tools.protoc", *paths, "--include_imports", f"--descriptor_set_out={output}", main]
        try:
            done = subprocess.run(  # noqa: S603 - our own program, no shell
                [sys.executable, *command],
                capture_output=True,
                text=True,
                timeout=_COMPILED_WITHIN_SECONDS,
                cwd=folder,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unsupported(f"it does not compile within {_COMPILED_WITHIN_SECONDS} s") from None
        if done.returncode:
            raise Unsupported(f"it is no Protobuf file ({' '.join(done.stderr.split())})")
        return list(FileDescriptorSet.FromString(output.read_bytes()).file)
