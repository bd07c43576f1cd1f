"""Posting alerts to a webhook: the body that is sent, and what is returned if that fails. Nothing is raised."""

import time

import pytest

from game_analytics.defs.webhook import Webhook
from game_analytics_tests.support.answering_s3 import closed_port
from game_analytics_tests.support.webhooks import SECRET_PATH, answering_with, dripping_server, webhook_server


def test_a_message_is_one_json_object_in_slack_s_format() -> None:
    with webhook_server() as hook:
        assert Webhook(hook.url).post("raw_events of 2025-12-30 failed: no broker", "\nhttp://ui/runs/1") is None
    assert hook.received == [{"text": "raw_events of 2025-12-30 failed: no broker\nhttp://ui/runs/1", "mrkdwn": False}]


def test_a_name_can_neither_mention_anyone_nor_link() -> None:
    with webhook_server() as hook:
        assert Webhook(hook.url).post("<!channel> <http://evil|click> & co", "") is None
    assert hook.texts == ["&lt;!channel&gt; &lt;http://evil|click&gt; &amp; co"]


def test_a_long_text_is_cut_and_keeps_its_link() -> None:
    with webhook_server() as hook:
        assert Webhook(hook.url).post("x" * 100_000, "\nhttp://ui/runs/1") is None
    assert hook.texts == ["x" * 3_000 + " …\nhttp://ui/runs/1"]


@pytest.mark.parametrize("busy", [429, 500, 503])
def test_a_busy_webhook_is_retried(busy: int) -> None:
    with webhook_server(busy, busy, 200) as hook:
        assert Webhook(hook.url).post("text", "") is None
    assert hook.texts == ["text"] * 3


def test_a_webhook_that_stays_busy_is_named() -> None:
    with webhook_server(503) as hook:
        assert Webhook(hook.url).post("text", "") == "127.0.0.1 answers 503"
    assert len(hook.received) == 3


@pytest.mark.parametrize("refusal", [302, 400, 403, 404])
def test_a_webhook_that_refuses_is_not_retried(refusal: int) -> None:
    with webhook_server(refusal) as hook:
        assert Webhook(hook.url).post("text", "") == f"127.0.0.1 answers {refusal}"
    assert len(hook.received) == 1


def test_a_webhook_that_answers_late_is_not_retried() -> None:
    with webhook_server(slow_seconds=3.5) as hook:
        assert Webhook(hook.url).post("text", "") == "127.0.0.1 did not accept it (ReadTimeout)"
    assert hook.texts == ["text"]


@pytest.mark.trial
def test_a_webhook_that_sends_its_answer_byte_by_byte_is_abandoned() -> None:
    """Each byte arrives within the time-out, but the answer never ends."""
    with dripping_server() as url:
        began = time.monotonic()
        assert Webhook(url).post("text", "") == "127.0.0.1 did not accept it within 5 s"
        assert time.monotonic() - began < 7


def test_a_missing_certificate_store_does_not_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/certificates")
    assert Webhook(f"https://127.0.0.1:1{SECRET_PATH}").post("text", "") == "127.0.0.1 did not accept it (OSError)"


def test_malformed_headers_don_t_log_the_url(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with answering_with(b"HTTP/1.1 200 OK\r\nno header\r\nContent-Length: 0\r\n\r\n") as url:
        assert Webhook(url).post("text", "") is None
    assert "hush" not in caplog.text


def test_a_webhook_that_is_down_is_named_without_its_url() -> None:
    problem = Webhook(closed_port() + SECRET_PATH).post("text", "")
    assert problem == "127.0.0.1 can't be reached (ConnectionError)"


@pytest.mark.parametrize("nonsense", ["hush-hush", "ftp://example.org/hush", "http://[hush/hush", "https:///hush"])
def test_an_invalid_url_is_not_shown(nonsense: str) -> None:
    problem = Webhook(nonsense).post("text", "")
    assert problem is not None
    assert "hush" not in problem


def test_the_url_is_not_in_the_representation() -> None:
    assert "hush" not in repr(Webhook(f"https://hooks.example.org{SECRET_PATH}"))
