"""Draw time and memory over events a day: points as JSON on standard input, an SVG file as argument."""

import json
import sys

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter

mpl.rcParams["svg.hashsalt"] = "growth"  # the same figures give the same file
mpl.rcParams["font.size"] = 11

points = json.load(sys.stdin)
millions = [point["events"] / 1e6 for point in points]
figure, (time, memory) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
time.plot(millions, [point["seconds"] for point in points], marker="o", color="#3b6fb6")
time.set(title="A whole day, from Kafka to the board", ylabel="seconds")
memory.plot(millions, [point["peak_mib"] / 1024 for point in points], marker="o", color="#3b6fb6", label="whole day")
memory.plot(
    millions, [point["landing_mib"] / 1024 for point in points], marker="o", color="#c2712e", label="landing alone"
)
memory.set(title="Peak memory, all processes", ylabel="GiB")
memory.legend()
for axes in (time, memory):
    axes.set_xlabel("million events a day")
    axes.set_xticks(millions)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
figure.savefig(sys.argv[1], metadata={"Date": None})
