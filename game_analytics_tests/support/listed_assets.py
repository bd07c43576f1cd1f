"""Part of `make check`: every asset of `defs/assets/` is in the graph of `definitions.py`."""

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from types import ModuleType

import dagster as dg

from game_analytics.definitions import defs
from game_analytics.defs import assets as package


def unlisted(modules: Iterable[ModuleType], graph: dg.Definitions) -> Iterator[str]:
    """A sentence for each asset of these modules that is missing in the graph."""
    listed = set(graph.resolve_asset_graph().get_all_asset_keys())
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, dg.AssetsDefinition) and not value.keys <= listed:
                listed |= value.keys  # other modules may import it for its key
                yield (
                    f"{module.__name__} has the asset {name}, which is not in the graph: import it in "
                    "game_analytics/definitions.py, and add it to WHERE there with the place that it writes to."
                )


def _modules() -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(info.name)


if __name__ == "__main__":
    sys.exit("\n".join(unlisted(_modules(), defs)) or 0)
