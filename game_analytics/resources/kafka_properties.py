"""The file of librdkafka properties that `KAFKA_CONFIG_FILE` names: SASL, TLS, sizes. What it says is passed on, and
shown nowhere, since passwords stand in it."""

from pathlib import Path

from game_analytics.errors import GameAnalyticsError


def read_properties(path: Path) -> dict[str, str]:
    """The properties of a file of ``name=value`` lines; empty lines and those that begin with ``#`` say nothing.

    Raises `GameAnalyticsError` naming the file and the line. It never says what stands there: it may be a secret.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise GameAnalyticsError(
            f"KAFKA_CONFIG_FILE names {path}, which can't be read: {reason}. Name a file of `name=value` lines, or "
            "unset it."
        ) from None
    properties: dict[str, str] = {}
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.strip()
        if not equals or not name:
            raise GameAnalyticsError(f"{path}, line {number}: `name=value` was expected. Mend the line.")
        if name in properties:
            raise GameAnalyticsError(f"{path}, line {number}: {name} is set twice. Remove one of the two.")
        properties[name] = value.strip()
    return properties
