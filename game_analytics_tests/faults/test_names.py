"""Injection by names: any name of a player, key or file is shown as text and executed nowhere."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console

from game_analytics.cli.terminal import rich_table
from game_analytics.definitions import pipeline as definitions_on
from game_analytics.defs.metadata import markdown, plain
from game_analytics.defs.resources import LakeResource, PipelineSettings
from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.manifest import Manifest
from game_analytics.landing.tables import quarantine_table
from game_analytics.leaderboards.top10 import TOP10
from game_analytics.local_stack.endpoint import S3Endpoint
from game_analytics.rules.leaderboard import BOARD
from game_analytics_tests.support.answering_s3 import Answer, answering, resource_at, s3_error
from game_analytics_tests.support.harness import ALL, Pipeline, failure_of, given_log, pipeline_on, small_simulation
from game_analytics_tests.support.listed_log import ListedLog
from game_analytics_tests.support.nasty_names import CONTROLS, all_names, legal_names
from game_analytics_tests.support.reference_decoder import MAX_CODE_POINTS
from game_analytics_tests.support.samples import at, kill
from game_analytics_tests.support.ticks import log_of_a_tick

pytestmark = pytest.mark.trial

Trial = Callable[[str, object], None]
DAY = "2025-12-30"
STATS_KEY = "events/2025_12_30_events.parquet"


def shown(name: str) -> str:
    """The name as it should be shown: non-printable characters as Python escapes, all others unchanged."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in name)


# Markdown

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_LINK_OF_THE_UI = re.compile(
    r"(https?://|www(?=\.))([-.\w]+)([^ \t\r\n]*)|([-.\w+]+)@([-\w]+(?:\.[-\w]+)+)", re.IGNORECASE
)
"""What remark-gfm, the renderer of Dagster's UI, turns into a link anywhere in text, escaped or not."""


def cells_of(markdown: str) -> list[list[str]]:
    """The text of a Markdown table's rows. It may contain only text and code, and nothing may surround it."""
    tokens = _MARKDOWN.parse(markdown)
    assert {token.type for token in tokens} <= {"inline"} | {
        f"{part}_{end}" for part in ("table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")
    }
    assert (tokens[0].type, tokens[-1].type) == ("table_open", "table_close")
    assert sum(token.type == "table_open" for token in tokens) == 1
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline":
            rows[-1].append("".join(map(_text, token.children or [])))
    return rows[1:]


def _text(token: Token) -> str:
    assert token.type in {"text", "code_inline"}, token
    assert token.type == "code_inline" or _LINK_OF_THE_UI.search(token.content) is None, token
    return token.content


def board_of(names: list[str]) -> pl.DataFrame:
    rows = [(rank, name, 9, 2, 4.5) for rank, name in enumerate(names, 1)]
    return pl.DataFrame(rows, schema=BOARD, orient="row")


def test_the_oracle_would_see_a_name_that_is_more_than_text() -> None:
    for markup in ("**a**", "<b>", "[a](b)", "`a` www.evil.example", "a | b | c |\n\n# d"):
        with pytest.raises(AssertionError):
            assert cells_of(f"| x |\n| --- |\n| {markup} |") == [[markup]]


def test_names_are_text_in_the_tables_of_the_ui(record_property: Trial) -> None:
    names = all_names()
    found = cells_of(str(markdown(TOP10.table(board_of(names))).md_str))
    assert (
        found == [[str(rank), shown(name), "9", "2", "4.50"] for rank, name in enumerate(names, 1)]
        or [(row[1], shown(name)) for row, name in zip(found, names, strict=True) if row[1] != shown(name)] == []
    )
    samples = [name.encode() for name in names]
    for sample in samples:
        [[reason, count, text]] = cells_of(
            str(markdown(quarantine_table({"not_json": 7}, {"not_json": sample})).md_str)
        )
        assert (reason, count) == ("not_json", "7")
        assert text.startswith(repr(sample[:60])[2:-1])
    record_property("trial", f"names: {len(names)} are text in Markdown, in boards and as samples")


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.text(st.sampled_from("`|\\ *_<>&[]()!~a.:/@w-#\n\x1b\u202e"), min_size=1, max_size=12))
def test_any_name_is_text_in_markdown(name: str) -> None:
    assert cells_of(f"| x |\n| --- |\n| {plain(name)} |") == [[shown(name)]]


# The whole pipeline


def markdown_of(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """All Markdown metadata of a run's materializations, by name."""
    return {
        name: str(value.md_str)
        for event in result.all_events
        if event.is_step_materialization
        for name, value in event.step_materialization_data.materialization.metadata.items()
        if isinstance(value, dg.MarkdownMetadataValue)
    }


def odd_keys() -> list[str]:
    """Without `.` and `..` segments, which clients resolve."""
    return [f"events/{number} {name}".replace("..", "…") for number, name in enumerate(all_names())]


def keys_that_the_embedded_server_takes() -> list[str]:
    return [key for key in odd_keys() if not {"\n", "\x00"} & set(key)]


def test_players_with_any_name_go_all_the_way_and_nothing_else_happens(
    lake_resource: LakeResource, record_property: Trial
) -> None:
    names = list(dict.fromkeys(legal_names()))
    assert all(len(name) <= MAX_CODE_POINTS for name in names)
    kills = [name for place, name in enumerate(names) for _ in range(place + 1)]
    messages = [at(offset, "2025-12-30 12:00", kill(name)) for offset, name in enumerate(kills)]
    bad = [
        at(len(messages) + number, "2025-12-30 12:00", text)
        for number, text in enumerate([b"<img src=x>|www.evil.example`", json.dumps("\x1b[31m").encode(), b"{\n# a\n"])
    ]
    with pipeline_on(lake_resource, given_log(ListedLog({0: [*messages, *bad]}))) as pipeline:
        for key in keys_that_the_embedded_server_takes():
            pipeline.put(key, b"harmless")
        before = pipeline.content()
        assert pipeline.requests() == []
        result = pipeline.run(ALL, DAY)
        assert result.success
        after = pipeline.content()
        stats = pipeline.lake.read_parquet(STATS_KEY)
        board = pipeline.board(DAY)
        tables = markdown_of(result)
    assert stats is not None
    assert stats.rows() == [
        (name, place + 1, 0)
        for name, place in sorted(zip(names, range(len(names)), strict=True), key=lambda each: each[0].encode())
    ]
    assert board is not None
    assert [row[1] for row in board] == names[::-1][:10]
    assert before.items() <= after.items()
    new = sorted(set(after) - set(before))
    assert [re.sub(r"0-0-\d+-[0-9a-f]{12}", "…", key) for key in new] == [
        STATS_KEY,
        "leaderboard/2025_12_30_top10.parquet",
        "quarantine/2025_12_30/….parquet",
        "raw/2025_12_30/….parquet",
        "raw/manifests/2025_12_30.json",
    ]
    assert {"account", "board"} < set(tables)
    assert len(tables) >= 3
    for table in tables.values():
        cells_of(table)
    assert [row[1] for row in cells_of(tables["board"])] == [shown(name) for name in names[::-1][:10]]
    record_property(
        "trial",
        f"names: {len(names)} players and {len(before)} keys go through a whole run, {len(new)} are new",
    )


def test_a_stats_file_with_any_names_is_ranked_and_the_rest_of_the_lake_stays(lake_resource: LakeResource) -> None:
    names = list(dict.fromkeys(all_names()))
    stats = pl.DataFrame({"player_id": names, "kills": range(len(names)), "deaths": [0] * len(names)})
    with pipeline_on(lake_resource) as pipeline:
        pipeline.put(STATS_KEY, stats)
        pipeline.put("raw/untouched", b"")
        before = pipeline.content()
        assert pipeline.run_requested() == {DAY: True}
        assert pipeline.board(DAY) == [
            (place + 1, name, len(names) - 1 - place, 0, float(len(names) - 1 - place))
            for place, name in enumerate(names[::-1][:10])
        ]
        assert set(pipeline.content().items()) - set(before.items()) == {
            (key, etag) for key, etag in pipeline.content().items() if key.startswith("leaderboard/")
        }


# Errors and logs: one line stays one line


def ensure_one_line(text: str) -> None:
    assert text.isprintable(), text


def test_an_error_that_names_it_stays_one_line(lake_resource: LakeResource, record_property: Trial) -> None:
    twice, columns = [*all_names()[::25], *CONTROLS["lines"][:2], *CONTROLS["log lines"]], all_names()
    with pipeline_on(lake_resource) as pipeline:
        for name in twice:
            pipeline.put(STATS_KEY, pl.DataFrame({"player_id": [name, name], "kills": [1, 1], "deaths": [1, 1]}))
            message = failure_of(pipeline.run("leaderboard_job", DAY))
            ensure_one_line(message)
            assert f"{name!r} is here a second time" in message
        pipeline.put(STATS_KEY, pl.DataFrame({name: [1] for name in columns}))
        message = failure_of(pipeline.run("leaderboard_job", DAY))
    ensure_one_line(message)
    assert all(shown(name) in message for name in columns)
    record_property("trial", f"names: {len(twice)} players and {len(columns)} columns stand in errors of one line each")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "a\r\nTraceback (most recent call last):", "\u202eabc"])
def test_a_manifest_and_an_answer_of_s3_can_t_add_lines_to_an_error(name: str) -> None:
    manifest = {
        "version": 1,
        "day": DAY,
        "topic": "t",
        "window": {"start": f"{DAY}T00:00:00Z", "end": f"{DAY}T00:00:00Z"},
    }
    manifest |= {
        "window_closed": True,
        "partitions": [],
        "objects": [{"key": "k", "kind": name, "rows": 1}],
        "missed": {},
    }
    with pytest.raises(GameAnalyticsError, match="is no manifest") as refused:
        Manifest.from_json(json.dumps(manifest).encode(), "s3://lake/raw/manifest.json")
    ensure_one_line(str(refused.value))
    for code, message in (("Odd", name.replace("\x1b", "&#x9b;")), (name.replace("\x1b", "&#x9b;"), "")):
        with answering(s3_error(400, code, message)) as server, pytest.raises(GameAnalyticsError) as answered:
            resource_at(server.url).open()
        ensure_one_line(str(answered.value))


def listing_of(keys: list[str]) -> Answer:
    """A listing of the bucket by S3."""
    contents = "".join(
        f"<Contents><Key>{quote(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        '<ETag>"e"</ETag><Size>1</Size></Contents>'
        for key in keys
    )
    return Answer(200, f"<ListBucketResult><EncodingType>url</EncodingType>{contents}</ListBucketResult>".encode())


def test_the_sensor_names_odd_keys_in_one_line_each(tmp_path: Path, record_property: Trial) -> None:
    # What begins with a slash would be a part of that day's folder.
    keys = [*odd_keys(), *(f"{STATS_KEY}{name}" for name in all_names() if not name.startswith("/"))]
    with answering(listing_of(keys)) as server, dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        lake = resource_at(server.url)
        pipeline = Pipeline(definitions_on(small_simulation(), lake, PipelineSettings()), lake, instance)
        lines = log_of_a_tick(pipeline)
        reason = str(pipeline.tick().skip_message)
    ensure_one_line(reason)
    for line in lines:
        ensure_one_line(line)
    assert [line.partition(" is left alone: ")[0] for line in lines] == [repr(key) for key in keys]
    record_property("trial", f"names: {len(keys)} keys are named by the sensor in as many lines")


# The terminal

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def without_colours(output: str) -> str:
    """The text without rich's colours; there must be no other escape."""
    text = _COLOURS.sub("", output)
    assert all(char == "\n" or char.isprintable() for char in text)
    return text


def test_names_are_literally_the_text_of_their_cells(record_property: Trial) -> None:
    names = [name for name in all_names() if name.strip() == name and len(shown(name).strip()) == len(shown(name))]
    for width in (40, 80, 250):
        console = Console(force_terminal=True, color_system="truecolor", width=width, highlight=False)
        with console.capture() as capture:
            console.print(rich_table(TOP10.table(board_of(names)), "a board", highlighted=names[0]))
            console.print(rich_table(quarantine_table(dict.fromkeys(names, 1)), "reasons"))
        text = without_colours(capture.get())
        assert "\x1b[" in capture.get()
        if width == 250:
            lines = [line.rstrip() for line in text.splitlines()]
            for rank, name in enumerate(names, 1):
                [line] = [line for line in lines if line.strip().startswith(f"{rank} ") and line.endswith("4.50")]
                assert (
                    line.strip()
                    .removeprefix(str(rank))
                    .removesuffix("4.50")
                    .strip()
                    .removesuffix("9  2")
                    .startswith(shown(name))
                )
    record_property("trial", f"names: {len(names)} are the text of cells in terminals of 40, 80 and 250 columns")


def in_a_terminal(s3: S3Endpoint, lake: LakeResource, *words: str) -> tuple[int, str]:
    """A command's output on a terminal of 160 columns with all colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - our own command
        [Path(sys.executable).parent / "game-analytics", "show", *words],
        env={
            "PATH": os.defpath,
            "HOME": "/nonexistent",
            "TERM": "xterm-256color",
            "FORCE_COLOR": "1",
            "PYTHONUTF8": "1",
            "AWS_ENDPOINT_URL": s3.url,
            "AWS_REGION": s3.region,
            "AWS_ACCESS_KEY_ID": s3.access_key_id,
            "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
            "GAME_ANALYTICS_BUCKET": lake.bucket,
        },
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = b""
    try:
        while piece := os.read(ours, 65_536):
            output += piece
    except OSError:  # EIO on Linux: no process has the terminal open any more
        pass
    finally:
        os.close(ours)
    return process.wait(60), output.decode().replace("\r\n", "\n")


TEN = [
    "\x1b]8;;http://x.y\x1b\\a",
    "\x1b[2J\x9b31m",
    "a\n10  you  99  0",
    "over\rwritten",
    "[red]a[/red]",
    "[link=http://x.y]a[/link]",
    "\u202eabc",
    "[/]",
    ":warning:",
    "=cmd|' /C calc'!A0",
]


def test_the_command_shows_names_as_text(s3: S3Endpoint, lake_resource: LakeResource, record_property: Trial) -> None:
    stats = pl.DataFrame({"player_id": TEN, "kills": range(20, 10, -1), "deaths": [1] * 10})
    with pipeline_on(lake_resource) as pipeline:
        pipeline.put(STATS_KEY, stats)
        assert pipeline.run_requested() == {DAY: True}
    code, output = in_a_terminal(s3, lake_resource, DAY)
    assert code == 0, output
    assert "\x1b[1m" in output
    lines = without_colours(output).splitlines()
    found = [re.fullmatch(r" *(\d+)  (.*?) +(\d+) +1 +(\d+\.00)", line.rstrip()) for line in lines]
    assert [(match[1], match[2]) for match in found if match] == [
        (str(rank), shown(name)) for rank, name in enumerate(TEN, 1)
    ]

    code, output = in_a_terminal(s3, lake_resource, DAY, "--player", TEN[2])
    assert code == 0, output
    assert any(shown(TEN[2]) in line for line in without_colours(output).splitlines())

    stranger = "\x1b[31m[red]nobody\u202e\nelse"
    code, output = in_a_terminal(s3, lake_resource, DAY, "--player", stranger)
    assert code == 1
    assert without_colours(output) == f"Error: {stranger!r} has no kill and no death on {DAY}.\n"
    record_property("trial", f"names: {len(TEN)} in a real terminal, on the board, as a player's line and in errors")
