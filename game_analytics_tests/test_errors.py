"""The tree of errors in the docstring of `errors.py` is that of the package's classes."""

import pkgutil
import re
from importlib import import_module
from inspect import getdoc

import game_analytics
from game_analytics import errors


def subclasses_of(base: type[BaseException]) -> list[type[BaseException]]:
    return [each for direct in base.__subclasses__() for each in (direct, *subclasses_of(direct))]


def classes_of_the_package() -> dict[str, str]:
    """Error class to its base class."""
    for module in pkgutil.walk_packages(game_analytics.__path__, "game_analytics."):
        import_module(module.name)
    own = [each for each in subclasses_of(Exception) if each.__module__.startswith("game_analytics.")]
    return {each.__name__: each.__bases__[0].__name__ for each in own}


def classes_in_the_docstring() -> dict[str, str]:
    lines = re.findall(r"^    ( *)(\w+)  +\S", getdoc(errors) or "", flags=re.MULTILINE)
    bases, found = ["Exception"], {}
    for indent, name in lines:
        bases = [*bases[: len(indent) // 4 + 1], name]
        found[name] = bases[-2]
    return found


def test_the_docstring_lists_every_error_class_below_its_base() -> None:
    assert classes_in_the_docstring() == classes_of_the_package()
