"""Settings from the environment and from ``.env``. The only reader of ``os.environ`` for settings."""

import difflib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import dotenv
from dotenv.parser import parse_stream
from pydantic import BaseModel, ValidationError, field_validator
from pydantic_core import ErrorDetails

from clipzy_storage.config.redis_url import BadRedisUrl, RedisUrl
from clipzy_storage.config.settings import Settings, fields, names
from clipzy_storage.config.urls import redacted
from clipzy_storage.errors import ConfigurationError

EMBEDDED_REDIS_FILE = "redis/server.json"
"""Under ``CLIPZY_DATA_DIR``; exists while `clipzy up` runs its own server."""

_OUR_PREFIX = "CLIPZY_"
_FOR_TESTS = "CLIPZY_FAILPOINTS"
_SIMILARITY = 0.75


class EmbeddedRedis(BaseModel):
    """The file with which `clipzy up` announces its own Redis server."""

    url: str
    """With the password."""

    @field_validator("url")
    @classmethod
    def _is_usable(cls, url: str) -> str:
        RedisUrl.parse(url)
        return url


def settings_from_env(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``environ``, or from ``os.environ``; a variable that is set to nothing counts as unset.

    Raises:
        ConfigurationError: one line for every wrong variable, naming it, its value and the remedy.
    """
    environ = os.environ if environ is None else environ
    given = {name: environ[name].strip() for name in names() if environ.get(name, "").strip()}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise ConfigurationError([_problem(fault, given) for fault in error.errors()]) from error
    if problems := settings.contradictions():
        raise ConfigurationError(problems)
    if "REDIS_URL" not in given and (embedded := embedded_redis_url(settings.data_dir)):
        return settings.model_copy(update={"redis_url": RedisUrl.parse(embedded)})
    return settings


def log_settings_from_env(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of which only those of the log are read, each with its default if it is wrong. Raises nothing."""
    environ = os.environ if environ is None else environ
    given = {name: environ[name].strip() for name in ("LOG_LEVEL", "LOG_FORMAT") if environ.get(name, "").strip()}
    for name in tuple(given):
        try:
            Settings.model_validate({name: given[name]})
        except ValidationError:
            del given[name]
    return Settings.model_validate(given)


def load_dotenv() -> None:
    """Add the working directory's ``.env`` to the environment, where boto3 sees it too; a set variable stays.

    Raises:
        ConfigurationError: the file exists but cannot be read; or one line for every line of it that is malformed.
    """
    with _readable_dotenv() as path:
        if malformed := _malformed_lines(path):
            raise ConfigurationError(
                [f"{path} line {n} is malformed. Write NAME=value, or remove it." for n in malformed]
            )
        dotenv.load_dotenv(path, override=False)


def _malformed_lines(path: Path) -> list[int]:
    """What python-dotenv would leave out, with a warning of its own each time that it reads the file."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        malformed = [binding.original for binding in parse_stream(file) if binding.error]
    return [original.line + _blank_lines(original.string) for original in malformed]


def _blank_lines(text: str) -> int:
    """How many are before its first other line."""
    return text[: len(text) - len(text.lstrip())].count("\n")


@contextmanager
def _readable_dotenv() -> Iterator[Path]:
    path = Path.cwd() / ".env"
    try:
        yield path
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError([f"{path} cannot be read: {reason}. Make it readable, or remove it."]) from error


def slips_in_dotenv() -> dict[str, str | None]:
    """Names in ``.env`` that are no setting but look like one, each with the setting that is meant, if one is similar.

    Raises ``ConfigurationError`` as ``load_dotenv`` does.
    """
    with _readable_dotenv() as path:
        given = dotenv.dotenv_values(path)
    unknown = [name for name in given if name not in (*names(), _FOR_TESTS)]
    similar = {name: difflib.get_close_matches(name.upper(), names(), n=1, cutoff=_SIMILARITY) for name in unknown}
    return {
        name: next(iter(found), None)
        for name, found in similar.items()
        if found or name.upper().startswith(_OUR_PREFIX)
    }


def embedded_redis_url(data_dir: Path) -> str | None:
    """The URL of the server that `clipzy up` runs from this data directory; None if none runs."""
    try:
        return EmbeddedRedis.model_validate_json((data_dir / EMBEDDED_REDIS_FILE).read_bytes()).url
    except (OSError, ValidationError):
        return None


def _problem(fault: ErrorDetails, given: Mapping[str, str]) -> str:
    name, cause = str(fault["loc"][0]), fault.get("ctx", {}).get("error")
    extra = fields()[name].json_schema_extra
    expects = extra["expects"] if isinstance(extra, dict) else ""
    value = _shown(name, given.get(name, ""))
    reason = f": {cause}" if isinstance(cause, BadRedisUrl) else ""
    return f"{name}={value} is wrong{reason}. Set it to {expects}, or leave it out for its default."


def _shown(name: str, value: str) -> str:
    """The value without secrets."""
    if name.endswith(("API_KEY", "SECRETS")):
        return "***"
    return redacted(value) if "URL" in name else value
