"""Alerts as messages to a webhook, in Slack's format, which others understand as well. Its address is a secret: whoever
knows it can write there."""

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
_ANSWERS_WITHIN_SECONDS = 3.0
_IN_ALL_SECONDS = 5.0  # a sensor's tick has a minute for all of its alerts, and may have five
_LONGEST = 3_000


@dataclass(frozen=True)
class Webhook:
    """Where alerts go."""

    url: str = field(repr=False)

    def post(self, text: str, link: str) -> str | None:
        """Deliver the text, with a link below it, and have it shown as text: whatever names it holds, they neither
        format nor call anybody.

        Nothing is raised: why it could not be delivered is returned, without the address, after five seconds at most.
        """
        told: list[str | None] = []
        # In a thread that may be left behind: the time-outs of a request are for each address and each piece of an
        # answer, and a webhook can make any number of them.
        thread = threading.Thread(target=lambda: told.append(self._post(text, link)), daemon=True)
        thread.start()
        thread.join(_IN_ALL_SECONDS)
        return told[0] if told else f"{self._host} did not take it within {_IN_ALL_SECONDS:.0f} s"

    def _post(self, text: str, link: str) -> str | None:
        # Not by urllib3's retries, which write the address to the log.
        for attempt in range(_TRIES):
            time.sleep(_PAUSE_SECONDS if attempt else 0)
            try:
                status = self._status(message(text, link))
            except requests.ConnectionError as error:
                problem = f"{self._host} can't be reached ({type(error).__name__})"
            except (OSError, ValueError) as error:  # requests' own are of the first kind, as is a missing certificate
                # Nor again where it may have been delivered and only the answer was late.
                return f"{self._host} did not take it ({type(error).__name__})"
            else:
                if status < 300:
                    return None
                problem = f"{self._host} answers {status}"
                if status < 500 and status != requests.codes.too_many_requests:
                    return problem
        return problem

    def _status(self, body: dict[str, str | bool]) -> int:
        # Streamed, since nobody wants to read the answer's body.
        with (
            _silent("urllib3.connection"),  # it would show the address with an answer's headers that are none
            requests.post(
                self.url, json=body, timeout=_ANSWERS_WITHIN_SECONDS, allow_redirects=False, stream=True
            ) as answer,
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
    """Nothing is logged by that name while the block runs."""

    def nothing(_record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger(name)
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)


def message(text: str, link: str) -> dict[str, str | bool]:
    """What is posted. As Slack wants it: with these three escaped, a text can mention nobody and hide no link."""
    shown = (text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …") + link
    return {"text": shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), "mrkdwn": False}
