"""Formatting of values, and a table in both renderings."""

import pytest
from rich.console import Console

from game_analytics.cli.terminal import rich_table
from game_analytics.defs.metadata import markdown
from game_analytics.rules.table import Kind, Table, formatted

TABLE = Table(
    {"rank": Kind.NUMBER, "player_id": Kind.TEXT, "kd_ratio": Kind.NUMBER},
    [(1, "ann|\x1b[31m", 1234.5), (2, "bob", 0.125)],
)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1_234_567, "1,234,567"), (2 / 3, "0.67"), (1e6, "1,000,000.00"), ("1234", "1234")]
)
def test_values_are_formatted_for_reading(value: object, text: str) -> None:
    assert formatted(value) == text


def test_in_markdown_numbers_are_right_aligned_and_text_is_code() -> None:
    assert markdown(TABLE).md_str == (
        "| rank | player_id | kd_ratio |\n"
        "| --: | --- | --: |\n"
        r"| 1 | `ann`\|`\x1b[31m` | 1,234.50 |"
        "\n| 2 | `bob` | 0.12 |"
    )


def test_in_a_terminal_numbers_are_right_aligned_and_control_characters_are_escaped() -> None:
    console = Console(width=80, highlight=False, force_terminal=False)
    with console.capture() as capture:
        console.print(rich_table(TABLE, "Top ten"))
    title, header, _, ann, bob = (line.rstrip() for line in capture.get().splitlines() if line.strip())
    assert (title, header) == ("Top ten", " rank  player_id     kd_ratio")
    assert (ann, bob) == (r"    1  ann|\x1b[31m  1,234.50", "    2  bob               0.12")


def test_the_row_of_one_player_is_highlighted() -> None:
    console = Console(width=80, highlight=False, force_terminal=True, color_system="standard")
    with console.capture() as capture:
        console.print(rich_table(TABLE, highlighted="bob"))
    lines = capture.get().splitlines()
    assert ["\x1b[1;7m" in line for line in lines if "ann" in line or "bob" in line] == [False, True]


def test_a_table_without_rows_shows_its_columns() -> None:
    assert markdown(Table(TABLE.columns, [])).md_str == "| rank | player_id | kd_ratio |\n| --: | --- | --: |"
