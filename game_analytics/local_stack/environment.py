"""How a process joins the stack: the variables to set and to unset, for our own children and for another shell."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from game_analytics.local_stack.endpoint import S3Endpoint

# What a user may have set for AWS itself and what would win over, or change, the variables set here.
_UNSET = (
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_S3",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_SECURITY_TOKEN",
    "AWS_SESSION_TOKEN",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
)


def stack_variables(endpoint: S3Endpoint, bucket: str, dagster_home: Path, ui_url: str) -> dict[str, str]:
    """The variables that lead to this S3 server, to this Dagster history and to the UI that shows it."""
    return {
        "AWS_ENDPOINT_URL": endpoint.url,
        "AWS_ACCESS_KEY_ID": endpoint.access_key_id,
        "AWS_SECRET_ACCESS_KEY": endpoint.secret_access_key,
        "AWS_REGION": endpoint.region,
        "GAME_ANALYTICS_BUCKET": bucket,
        "DAGSTER_HOME": str(dagster_home),
        "GAME_ANALYTICS_UI_URL": ui_url,
    }


_LOOPBACK = "127.0.0.1,localhost"
_NO_PROXY = ("NO_PROXY", "no_proxy")


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """A copy of the environment in which nothing leads to another lake or log, nor through a proxy to this machine."""
    ours = ("AWS_", "DAGSTER_", "GAME_ANALYTICS_", "KAFKA_", "PG")  # the last are those of PostgreSQL's clients
    return {name: value for name, value in environment.items() if not name.startswith(ours)} | dict.fromkeys(
        _NO_PROXY, _LOOPBACK
    )


def with_stack(environment: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """A copy of the environment that leads to the stack."""
    no_proxy = {name: ",".join(filter(None, (environment.get(name), _LOOPBACK))) for name in _NO_PROXY}
    return {name: value for name, value in environment.items() if name not in _UNSET} | no_proxy | dict(variables)


def write_shell_file(path: Path, variables: Mapping[str, str]) -> None:
    """A file for ``source`` (sh, bash, zsh) that does the same to a shell, and finds our programs first."""
    programs = Path(sys.executable).parent
    lines = [
        "# Written anew by each start of the stack. Source it to work on the stack from this shell.",
        f"unset {' '.join(_UNSET)}",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        *(f'export {name}="${{{name}:+${name},}}{_LOOPBACK}"' for name in _NO_PROXY),
        f"export VIRTUAL_ENV={shlex.quote(sys.prefix)}",
        f'export PATH={shlex.quote(str(programs))}:"$PATH"',
    ]
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")
