"""A Schema Registry in memory, on loopback: it serves Confluent's serializers and client, GUIDs included, and answers
wrongly to order. It records what it was asked."""

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from game_analytics_tests.support.serving import serving


@dataclass
class StubRegistry:
    """Its schemas, and how it answers."""

    url: str = ""
    schemas: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By id: the answer to a question for it."""
    asked: list[str] = field(default_factory=list)
    """The paths of all questions."""
    answer: tuple[int, bytes] | None = None
    """Status and body of every answer; None for the right ones."""
    silent_for: float = 0.0
    """Seconds until an answer begins."""
    drips: float = 0.0
    """Seconds between the bytes of an answer."""
    user: str | None = None
    """The header `Authorization` that it asks for."""

    def add(self, text: str, kind: str = "AVRO", references: list[dict[str, Any]] | None = None) -> int:
        """Register a schema; the same one gets the same id."""
        same = [
            number
            for number, known in self.schemas.items()
            if (known["schema"], known["schemaType"], known["references"]) == (text, kind, references or [])
        ]
        number = same[0] if same else len(self.schemas) + 1
        self.schemas[number] = {
            "id": number,
            "version": number,
            "guid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{number}{text}")),
            "schema": text,
            "schemaType": kind,
            "references": references or [],
        }
        return number

    def guid(self, number: int) -> bytes:
        return uuid.UUID(self.schemas[number]["guid"]).bytes

    def found(self, path: str) -> dict[str, Any] | None:
        """The schema that a path names, by id, by GUID, or as a version of any subject."""
        name = path.rpartition("/")[2]
        for number, known in self.schemas.items():
            if name in {str(number), known["guid"]}:
                return known
        return None


@contextmanager
def schema_registry() -> Iterator[StubRegistry]:
    """The registry, while the block runs."""
    registry = StubRegistry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = registry.found(self._asked())
            missing = {"error_code": 40403, "message": "Schema not found"}
            self._send(404 if known is None else 200, missing if known is None else known)

        def do_POST(self) -> None:
            path = self._asked()
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            number = registry.add(given["schema"], given.get("schemaType", "AVRO"), given.get("references"))
            self._send(200, {**registry.schemas[number], "subject": path.split("/")[2]})

        def _asked(self) -> str:
            path = self.path.partition("?")[0]
            registry.asked.append(path)
            return path

        def _send(self, status: int, document: dict[str, Any]) -> None:
            time.sleep(registry.silent_for)
            body = json.dumps(document).encode()
            if registry.user is not None and self.headers.get("Authorization") != registry.user:
                status, body = 401, b'{"error_code": 40101, "message": "Unauthorized"}'
            status, body = registry.answer or (status, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            for byte in body if registry.drips else b"":
                time.sleep(registry.drips)
                self.wfile.write(bytes([byte]))
            if not registry.drips:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the interface's name
            """Say nothing."""

    with serving(Handler) as registry.url:
        yield registry
