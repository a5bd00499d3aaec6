"""Runs the Lua scripts of the job records, each of which is one transition or one question."""

from pathlib import Path
from typing import Any

from clipzy_storage.redis_client import RedisDatabase

_SCRIPTS = Path(__file__).parent / "lua"


def run_script(redis: RedisDatabase, name: str, *args: str | int) -> Any:
    """What the script answers; ``name`` is that of its file. Raises ``QueueUnavailable``."""
    return redis.run(_SCRIPTS / f"{name}.lua", *args)
