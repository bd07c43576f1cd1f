"""Trial: thousands of random histories of four days, none of which loses an event of a landed day without a report.

Once the sensor requests nothing more, each event of a landed day is in that day's raw objects, or in the range of the
next landing, or before the first landing, which has reported these offsets. Each message that can't be read is in some
day's quarantine.
"""

from collections import Counter
from collections.abc import Callable

import pytest

from game_analytics_tests.support.histories import fates, history

_AT_ONCE = 250
SEEDS = [pytest.param(range(first, first + _AT_ONCE), id=f"from {first}") for first in range(0, 2_000, _AT_ONCE)]


@pytest.mark.trial
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seeds", SEEDS)
def test_no_event_of_a_landed_day_is_lost_without_a_report(
    seeds: range, record_property: Callable[[str, object], None]
) -> None:
    sums, lost = Counter[str](), {}
    for seed in seeds:
        played = history(seed)
        played.play()
        found = fates(played)
        sums.update(counted=found.counted, named=found.named, to_come=found.to_come)
        if found.lost:
            lost[seed] = found.lost
    record_property(
        "trial",
        f"histories of four days, seeds {seeds[0]} to {seeds[-1]}: {sums['counted']:,} messages are "
        f"where they belong, {sums['to_come']:,} are left to the next day's landing, {sums['named']:,} lie before the "
        f"first landing and are named; lost {sum(map(len, lost.values()))}",
    )
    assert lost == {}
    assert sums["counted"] > 30 * len(seeds)  # the histories are not empty
