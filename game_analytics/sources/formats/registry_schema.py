"""Schemas as a registry knows them, and what is wrong with those that can't be used."""

from typing import Literal

import msgspec

SchemaType = Literal["AVRO", "PROTOBUF", "JSON"]


class Schema(msgspec.Struct, frozen=True):
    """A schema with all that it refers to, directly or not."""

    type: SchemaType
    text: str
    references: tuple[tuple[str, str], ...] = ()
    """Name and text of the schemas that are referred to, each after those that it refers to itself."""

    @classmethod
    def from_json(cls, text: bytes) -> "Schema":
        """What `to_json` has made."""
        return msgspec.json.decode(text, type=cls)

    def to_json(self) -> bytes:
        """The same schemas give the same bytes."""
        return msgspec.json.encode(self)


class Unsupported(Exception):
    """Messages of this schema can't be read as events. The text says why: a sentence without an end."""


class Malformed(Exception):
    """What the registry gives is no schema at all. The text says why: a sentence without an end."""
