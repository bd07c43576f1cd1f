"""librdkafka's mock broker, which can answer with any error. The Python client does not expose it, so it is called in
the library that the client has loaded."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Producer, cimpl

FETCH, LIST_OFFSETS = 1, 2
TOPIC = "game-events"

_TEXT = 512


@dataclass(frozen=True)
class MockCluster:
    """One broker with one topic of one partition."""

    library: ctypes.CDLL
    handle: int
    bootstrap_servers: str

    def answer_with(self, error: int, request: int, times: int) -> None:
        """Answer the next ``count`` requests of this kind with the error."""
        self.library.rd_kafka_mock_push_request_errors_array(
            ctypes.c_void_p(self.handle), request, ctypes.c_size_t(times), (ctypes.c_int * times)(*[error] * times)
        )

    def send(self, messages: int) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap_servers})
        for _ in range(messages):
            producer.produce(TOPIC, b"{}", partition=0)
        assert producer.flush(10) == 0


@contextmanager
def mock_cluster() -> Iterator[MockCluster]:
    library = ctypes.CDLL(cimpl.__file__)
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    text = ctypes.create_string_buffer(_TEXT)
    host = library.rd_kafka_new(0, ctypes.c_void_p(library.rd_kafka_conf_new()), text, ctypes.c_size_t(_TEXT))
    handle = library.rd_kafka_mock_cluster_new(ctypes.c_void_p(host), 1)
    servers = library.rd_kafka_mock_cluster_bootstraps(ctypes.c_void_p(handle)).decode()
    library.rd_kafka_mock_topic_create(ctypes.c_void_p(handle), TOPIC.encode(), 1, 1)
    try:
        yield MockCluster(library, handle, servers)
    finally:
        library.rd_kafka_mock_cluster_destroy(ctypes.c_void_p(handle))
        library.rd_kafka_destroy(ctypes.c_void_p(host))
