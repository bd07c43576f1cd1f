"""The daily partitions of all three assets: one per UTC day, from the first day on, once the day is over."""

import dagster as dg

from game_analytics.layout import FIRST_DAY

daily = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), timezone="UTC", end_offset=0)
