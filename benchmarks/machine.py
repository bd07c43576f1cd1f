"""A description of this machine, in one line for the head of a table."""

import os
import platform


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def machine() -> str:
    """Cores, load, memory and Python version."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cores()} cores (load before: {os.getloadavg()[0]:.1f}), {memory:.0f} GiB; Python {platform.python_version()}"
    )
