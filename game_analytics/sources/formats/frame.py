"""Bytes around a message's object: byte order mark, Schema Registry framing, and what other first bytes reveal.
Pure."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SCHEMA_ID_ENDS = (5, 9)
"""After byte 0 an id of 4 bytes (Confluent), or of 8 (Apicurio)."""

_OBJECT_STARTS = (b'{"', b"{}", b"{ ", b"{\t", b"{\r", b"{\n")
"""A brace alone may be a byte of an id or of another format."""

_COMPRESSED = (
    b"\x1f\x8b",  # gzip
    b"\x28\xb5\x2f\xfd",  # Zstandard
    b"\x04\x22\x4d\x18",  # LZ4
    b"\xff\x06\x00\x00sNaPpY",  # Snappy
    b"\x82SNAPPY\x00",  # Snappy as Java writes it
    b"BZh",  # bzip2
    b"\xfd7zXZ\x00",  # xz
    b"x\x01",  # zlib
    b"x\x5e",
    b"x\x9c",
    b"x\xda",
)
_SCHEMA_ID = b"\x00"
GLUE = (b"\x03\x00", b"\x03\x05")
"""How AWS Glue's framing begins: as it is, or with zlib."""
_AVRO_FILE = b"Obj\x01"
_LEAST_FRAMED = 5
LEAST_GLUE = 18


def unframed(value: bytes | None) -> bytes | None:
    """The value without a byte order mark, or without Schema Registry framing if an object follows it."""
    if value is None:
        return None
    if value.startswith(_BYTE_ORDER_MARK):
        return value[len(_BYTE_ORDER_MARK) :]
    if value.startswith(_SCHEMA_ID):
        for end in _SCHEMA_ID_ENDS:
            if value.startswith(_OBJECT_STARTS, end):
                return value[end:]
    return value


def first_bytes_fault(value: bytes | None) -> str | None:
    """The reason that the first bytes of a value reveal, if any."""
    if value is None:
        return "tombstone"
    if value.startswith(_COMPRESSED):
        return "compressed"
    is_framed = value.startswith(_SCHEMA_ID) and len(value) >= _LEAST_FRAMED
    is_glue = value.startswith(GLUE) and len(value) >= LEAST_GLUE
    return "avro_or_protobuf" if is_framed or is_glue or value.startswith(_AVRO_FILE) else None
