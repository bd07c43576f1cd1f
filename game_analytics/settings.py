"""All environment variables of the package, with defaults and bounds. Imports no Dagster, and reads nothing at import.

Variables that the AWS SDK, librdkafka and Dagster read by themselves are not listed here.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import msgspec
from annotated_types import Ge, Le
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from game_analytics.errors import GameAnalyticsError
from game_analytics.lake.bucket import LakeSettings
from game_analytics.rules.vocabulary import type_names
from game_analytics.sources.formats.registry import url_fault
from game_analytics.sources.kafka.names import servers_fault, topic_fault

TOPIC = "game-events"
BUCKET = "game-analytics"
UI_URL = "http://127.0.0.1:3000"
PATIENCE_SECONDS = 120
LATENESS_MINUTES = 60
MIN_ENGAGEMENTS = 0
WORKERS = 0
SLICE_MESSAGES = 250_000
VOLUME_PERCENT = 50
QUARANTINE_PERCENT = 1

MAX_LATENESS_MINUTES = 5 * 24 * 60
"""Five days: the schedule looks back seven, and windows must close well within them."""
WEBHOOK = "GAME_ANALYTICS_ALERT_WEBHOOK"

_PREFIX = "GAME_ANALYTICS_"
_ATTEMPTS = 3


def _digits(value: object) -> object:
    """Accepts text only if it is 1 to 19 ASCII digits: int() takes underscores and more, and fails on very long
    text."""
    if isinstance(value, str) and not re.fullmatch("[0-9]{1,19}", value):
        raise ValueError("not a whole number")
    return value


def _servers(value: str) -> str:
    return _without_fault(value, servers_fault(value))


def _topic(value: str) -> str:
    return _without_fault(value, topic_fault(value))


def _registry_url(value: str) -> str:
    return _without_fault(value, url_fault(value))


def _without_fault(value: str, fault: str | None) -> str:
    if fault is not None:
        raise ValueError(fault)
    return value


def _names(value: object) -> object:
    """Accepts names separated by commas, or a JSON list of names, which may hold blanks and commas."""
    if not isinstance(value, str):
        return value
    if not value.startswith("["):
        return tuple(name for each in value.split(",") if (name := each.strip()))
    try:
        return msgspec.json.decode(value, type=tuple[str, ...])
    except msgspec.MsgspecError as error:
        raise ValueError("no JSON list of names") from error


Whole = Annotated[int, BeforeValidator(_digits)]

LatenessMinutes = Annotated[
    Whole,
    Field(
        ge=0,
        le=MAX_LATENESS_MINUTES,
        description="Minutes after the end of its day within which an event may arrive and be read with the day.",
    ),
]
MinEngagements = Annotated[
    Whole,
    Field(
        ge=0,
        le=2**31,
        description="Kills plus deaths that a player needs to be ranked, unless the run config says otherwise.",
    ),
]
Workers = Annotated[
    Whole,
    Field(ge=0, le=1_000, description="Workers that land a large day; 0 means one per processor core."),
]
SliceMessages = Annotated[
    Whole, Field(ge=1_000, le=2_000_000, description="Messages that a worker lands at a time, at most.")
]
VolumePercent = Annotated[
    Whole,
    Field(
        ge=0,
        le=1_000_000,
        description="Percentage by which a day's events may differ from the earlier days' median before a check warns.",
    ),
]
QuarantinePercent = Annotated[
    Whole, Field(ge=0, le=100, description="Percentage of messages that may be unreadable before a check warns.")
]
PatienceSeconds = Annotated[
    Whole, Field(ge=1, le=86_400, description="Seconds that a broker may deliver nothing before a landing fails.")
]
TypeNames = Annotated[
    tuple[str, ...],
    NoDecode,
    BeforeValidator(_names),
]
EventFormat = Literal["json", "registry"]
Port = Annotated[Whole, Field(ge=1, le=65_535)]


class Settings(BaseSettings):
    """The settings of the environment. An empty or blank variable counts as unset."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    lateness_minutes: LatenessMinutes = LATENESS_MINUTES  # GAME_ANALYTICS_LATENESS_MINUTES, and so on
    min_engagements: MinEngagements = MIN_ENGAGEMENTS
    workers: Workers = WORKERS
    slice_messages: SliceMessages = SLICE_MESSAGES
    volume_percent: VolumePercent = VOLUME_PERCENT
    quarantine_percent: QuarantinePercent = QUARANTINE_PERCENT
    kill_types: TypeNames = ()
    death_types: TypeNames = ()

    bucket: str = BUCKET
    simulation: Literal["allow"] | None = None
    ui_url: str = UI_URL
    alert_webhook: SecretStr | None = None
    kafka_patience_seconds: PatienceSeconds = PATIENCE_SECONDS

    kafka_bootstrap_servers: Annotated[str, BeforeValidator(_servers)] | None = Field(
        default=None, validation_alias="KAFKA_BOOTSTRAP_SERVERS"
    )
    kafka_topic: Annotated[str, BeforeValidator(_topic)] | None = Field(default=None, validation_alias="KAFKA_TOPIC")
    kafka_config_file: Path | None = Field(default=None, validation_alias="KAFKA_CONFIG_FILE")

    event_format: EventFormat = "json"
    schema_registry_url: Annotated[str, BeforeValidator(_registry_url)] | None = Field(
        default=None, validation_alias="SCHEMA_REGISTRY_URL"
    )
    schema_registry_config_file: Path | None = Field(default=None, validation_alias="SCHEMA_REGISTRY_CONFIG_FILE")

    aws_region: str | None = Field(default=None, validation_alias="AWS_REGION")
    """boto3 reads AWS_DEFAULT_REGION by itself, but not AWS_REGION, which AWS's own services set."""

    postgres_host: str | None = Field(default=None, validation_alias="POSTGRES_HOST")
    postgres_port: Port = Field(default=5432, validation_alias="POSTGRES_PORT")
    postgres_user: str = Field(default="postgres", validation_alias="POSTGRES_USER")
    postgres_db: str | None = Field(default=None, validation_alias="POSTGRES_DB")
    postgres_password: SecretStr = Field(default=SecretStr(""), validation_alias="POSTGRES_PASSWORD")

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Strip whitespace around all values except the password."""
        present = {name: value for name, value in given.items() if not isinstance(value, str) or value.strip()}
        return {
            name: value.strip() if isinstance(value, str) and name != "POSTGRES_PASSWORD" else value
            for name, value in present.items()
        }

    @model_validator(mode="after")
    def _ensure_servers(self) -> Self:
        if self.kafka_bootstrap_servers is None and (self.kafka_topic or self.kafka_config_file):
            raise ValueError(
                "KAFKA_TOPIC or KAFKA_CONFIG_FILE is set, but KAFKA_BOOTSTRAP_SERVERS is not. Set it to read that "
                "topic, or unset the others for simulated matches."
            )
        return self

    @model_validator(mode="after")
    def _ensure_registry(self) -> Self:
        if self.event_format == "registry" and self.schema_registry_url is None:
            raise ValueError(
                "GAME_ANALYTICS_EVENT_FORMAT is `registry`, but SCHEMA_REGISTRY_URL is not set. Set it, or unset the "
                "former for events in JSON."
            )
        return self

    @model_validator(mode="after")
    def _ensure_one_meaning(self) -> Self:
        try:
            type_names(self.kill_types, self.death_types)
        except ValueError as error:
            raise ValueError(
                f"GAME_ANALYTICS_KILL_TYPES and GAME_ANALYTICS_DEATH_TYPES contradict each other: {error}. Name each "
                "type in one of them; KILL and DEATH themselves always count."
            ) from None
        return self

    @property
    def lake(self) -> LakeSettings:
        """The lake. What is not set comes from the AWS SDK's default chain."""
        return LakeSettings(bucket=self.bucket, region_name=self.aws_region, max_attempts=_ATTEMPTS)


def read_settings() -> Settings:
    """Read the settings from this process's environment.

    Raises `GameAnalyticsError` with a line for each invalid variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise GameAnalyticsError("\n".join(_line(fault) for fault in error.errors(include_url=False))) from None


def _line(fault: Any) -> str:
    """The variable's name, its value, and what is expected."""
    if not fault["loc"]:
        return str(fault["ctx"]["error"])
    name = str(fault["loc"][0])
    by_alias = {each.validation_alias: key for key, each in Settings.model_fields.items()}
    field = by_alias.get(name, name)
    variable = Settings.model_fields[field].validation_alias or f"{_PREFIX}{field.upper()}"
    if field in {"kafka_bootstrap_servers", "kafka_topic", "schema_registry_url"}:
        return f"{variable} {fault['ctx']['error']}"
    return f"{variable} is {fault['input']!r}; {_expected(field)} is expected."


def _expected(field: str) -> str:
    if field == "simulation":
        return "`allow` or nothing"
    if field == "event_format":
        return "`json` or `registry`"
    if field in {"kill_types", "death_types"}:
        return "names separated by commas, or a JSON list of names,"
    constraints = Settings.model_fields[field].metadata
    [least] = [each.ge for each in constraints if isinstance(each, Ge)]
    [most] = [each.le for each in constraints if isinstance(each, Le)]
    return f"a whole number from {least:,} to {most:,}"
