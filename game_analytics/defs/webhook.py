"""Posts alerts to a webhook in Slack's format, which other services accept as well. The URL is a secret: it is all that
is needed to post there."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests

_TRIES = 3
_PAUSE_SECONDS = 0.5
_REQUEST_SECONDS = 3.0
_TOTAL_SECONDS = 5.0  # a sensor's tick has a minute for all of its alerts
_MAX_CHARACTERS = 3_000


@dataclass(frozen=True)
class Webhook:
    """Where alerts go."""

    url: str = field(repr=False)

    def post(self, text: str, link: str) -> str | None:
        """Post the text, with the link below it. It is shown literally: names in it can neither format it nor mention
        anyone.

        Takes five seconds at most. Returns why the text could not be delivered, without the URL, or None; raises
        nothing.
        """
        results: list[str | None] = []
        # In a daemon thread, which may be abandoned: a request's time-out applies to each address and to each chunk of
        # the answer, so it does not bound the whole.
        thread = threading.Thread(target=lambda: results.append(self._post(text, link)), daemon=True)
        thread.start()
        thread.join(_TOTAL_SECONDS)
        return results[0] if results else f"{self._host} did not accept it within {_TOTAL_SECONDS:.0f} s"

    def _post(self, text: str, link: str) -> str | None:
        # Not with urllib3's retries, which log the URL.
        for attempt in range(_TRIES):
            time.sleep(_PAUSE_SECONDS if attempt else 0)
            try:
                status = self._status(message(text, link))
            except requests.ConnectionError as error:
                problem = f"{self._host} can't be reached ({type(error).__name__})"
            except (OSError, ValueError) as error:  # `requests.RequestException` and a missing certificate are OSErrors
                # No retry: it may have been delivered, with a late answer.
                return f"{self._host} did not accept it ({type(error).__name__})"
            else:
                if status < 300:
                    return None
                problem = f"{self._host} answers {status}"
                if status < 500 and status != requests.codes.too_many_requests:
                    return problem
        return problem

    def _status(self, body: dict[str, str | bool]) -> int:
        # Streamed, so that the answer's body is not read.
        with (
            _silent("urllib3.connection"),  # its warning about malformed headers includes the URL
            requests.post(self.url, json=body, timeout=_REQUEST_SECONDS, allow_redirects=False, stream=True) as answer,
        ):
            return answer.status_code

    @property
    def _host(self) -> str:
        try:
            return urlsplit(self.url).hostname or "the webhook"
        except ValueError:
            return "the webhook"


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Suppresses the logger of that name during the block."""

    def nothing(_record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger(name)
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def message(text: str, link: str) -> dict[str, str | bool]:
    """The body to post. Slack asks for these three characters to be escaped; the text then has no mentions or links."""
    shown = (text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]} …") + link
    return {"text": shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), "mrkdwn": False}
