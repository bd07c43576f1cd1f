"""The environment variables that lead a process to the stack, for our own children and for another shell."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from game_analytics.local_stack.endpoint import S3Endpoint

# What a user may have set for AWS itself, and what would override or change the variables set here.
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
    """The variables of this S3 server, its bucket, Dagster's home folder and the UI's address."""
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
    """A copy without the settings of another lake, log or database, in which no proxy is used for this machine."""
    ours = ("AWS_", "DAGSTER_", "GAME_ANALYTICS_", "KAFKA_", "PG")  # PG: of PostgreSQL's clients
    return {name: value for name, value in environment.items() if not name.startswith(ours)} | dict.fromkeys(
        _NO_PROXY, _LOOPBACK
    )


def with_stack(environment: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """A copy of the environment with the stack's variables, without AWS settings that would override them."""
    no_proxy = {name: ",".join(filter(None, (environment.get(name), _LOOPBACK))) for name in _NO_PROXY}
    return {name: value for name, value in environment.items() if name not in _UNSET} | no_proxy | dict(variables)


def write_shell_file(path: Path, variables: Mapping[str, str]) -> None:
    """Write a file to ``source`` (sh, bash, zsh) that makes the same changes, and puts our programs first on the PATH.

    Only its owner can read it, since it holds credentials.
    """
    programs = Path(sys.executable).parent
    lines = [
        "# Rewritten by each start of the stack. Source it to work on the stack from this shell.",
        f"unset {' '.join(_UNSET)}",
        *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
        *(f'export {name}="${{{name}:+${name},}}{_LOOPBACK}"' for name in _NO_PROXY),
        f"export VIRTUAL_ENV={shlex.quote(sys.prefix)}",
        f'export PATH={shlex.quote(str(programs))}:"$PATH"',
    ]
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")
