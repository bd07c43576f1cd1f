"""Alerts as messages to a webhook, in Slack's format, which others understand as well. Its address is a secret: whoever
knows it can write there."""

import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests

_TRIES = 3
_PAUSE_SECONDS = 0.5
# A sensor's tick has a minute for all of its alerts.
_ANSWERS_WITHIN_SECONDS = 3.0
_LONGEST = 3_000


@dataclass(frozen=True)
class Webhook:
    """Where alerts go."""

    url: str = field(repr=False)

    def post(self, text: str, link: str) -> str | None:
        """Deliver the text, with a link below it, and have it shown as text: whatever names it holds, they neither
        format nor call anybody.

        Nothing is raised: why it could not be delivered is returned, without the address.
        """
        # Not by urllib3's retries, which write the address to the log.
        for attempt in range(_TRIES):
            time.sleep(_PAUSE_SECONDS if attempt else 0)
            try:
                answer = requests.post(
                    self.url, json=message(text, link), timeout=_ANSWERS_WITHIN_SECONDS, allow_redirects=False
                )
            except requests.ConnectionError as error:
                problem = f"{self._host} can't be reached ({type(error).__name__})"
            except (requests.RequestException, ValueError) as error:
                # Nor again where it may have been delivered and only the answer was late.
                return f"{self._host} did not take it ({type(error).__name__})"
            else:
                if answer.status_code < 300:
                    return None
                problem = f"{self._host} answers {answer.status_code}"
                if answer.status_code < 500 and answer.status_code != requests.codes.too_many_requests:
                    return problem
        return problem

    @property
    def _host(self) -> str:
        try:
            return urlsplit(self.url).hostname or "the webhook"
        except ValueError:
            return "the webhook"


def message(text: str, link: str) -> dict[str, str | bool]:
    """What is posted. As Slack wants it: with these three escaped, a text can mention nobody and hide no link."""
    shown = (text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …") + link
    return {"text": shown.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), "mrkdwn": False}
