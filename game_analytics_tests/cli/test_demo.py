"""`game-analytics demo` as a newcomer runs it: in a folder of its own, with nothing configured."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest


@pytest.mark.trial
def test_the_demo_shows_seven_accounts_and_ten_ranked_players_and_leaves_nothing(tmp_path: Path) -> None:
    here, home, temporary = (tmp_path / name for name in ("here", "home", "tmp"))
    for folder in (here, home, temporary):
        folder.mkdir()
    done = subprocess.run(  # noqa: S603 - our own command
        [Path(sys.executable).parent / "game-analytics", "demo"],
        cwd=here,
        env={"PATH": os.defpath, "HOME": str(home), "TMPDIR": str(temporary), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    days = [(datetime.now(UTC) - timedelta(days=ago)).date().isoformat() for ago in range(7, 0, -1)]
    progress = [line.split()[0] for line in lines if "landed and counted" in line]
    assert progress == days
    accounts = [line for line in lines if line.startswith(f" {days[0]}"[:5]) or line.strip()[:10] in days]
    assert len(accounts) == 3 * 7  # landed, published, and a row of the table
    board = lines[lines.index(next(line for line in lines if line.startswith("Top ten of"))) :]
    ranks = [line.split()[0] for line in board if line.strip()[:1].isdigit()]
    assert ranks == [str(rank) for rank in range(1, 11)]
    for folder in (here, home, temporary):
        assert list(folder.rglob("*")) == []
