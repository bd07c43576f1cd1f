"""The processes of this machine, and waiting for conditions."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Process:
    """A line of the kernel's process table."""

    pid: int
    parent: int
    session: int
    command: str


def processes() -> list[Process]:
    """Every process except zombies."""
    found = []
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                if is_alive(process):
                    words = " ".join(process.cmdline())
                    found.append(Process(process.pid, process.ppid(), os.getsid(process.pid), words))
        except (psutil.Error, ProcessLookupError):  # ended meanwhile
            continue
    return found


def is_alive(process: psutil.Process) -> bool:
    """Whether the process runs and is not a zombie."""
    try:
        return process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int) -> list[Process]:
    """The descendants of a process."""
    table = processes()
    found: list[Process] = []
    parents = {pid}
    while parents:
        children = [process for process in table if process.parent in parents]
        found += children
        parents = {process.pid for process in children}
    return found


def programs(words: str) -> list[Process]:
    """The processes with these words in their command, without their tethers."""
    return [process for process in processes() if words in process.command and "tether.py" not in process.command]


def left_of(sessions: set[int]) -> list[Process]:
    """The running processes of these sessions."""
    return [process for process in processes() if process.session in sessions]


def eventually(holds: Callable[[], object], what: str, evidence: Callable[[], str] = str, seconds: float = 120) -> None:
    """Wait for a condition, and fail with the evidence if it does not hold in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s: {what}\n{evidence()}"
        time.sleep(0.05)
