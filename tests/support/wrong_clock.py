"""Sets the clock of a Python process wrong by ``CLOCK_OFF_SECONDS``, as far as the process can tell."""

import datetime
import os
import sys
import time
from pathlib import Path
from typing import Any

SETTING = "CLOCK_OFF_SECONDS"
_TrueDatetime = datetime.datetime


class _Kind(type):
    def __instancecheck__(cls, one: Any) -> bool:
        return isinstance(one, _TrueDatetime)


class _Datetime(_TrueDatetime, metaclass=_Kind):
    """Any moment is one of these, as those are which C code makes."""


def environment(directory: Path, *, seconds: int) -> dict[str, str]:
    """Settings under which Python starts with such a clock, and so do those that it spawns; kept in ``directory``."""
    directory.mkdir(exist_ok=True)
    (directory / "sitecustomize.py").write_text(
        f"import runpy\nrunpy.run_path({str(Path(__file__))!r}, run_name='clock')\n"
    )
    return {SETTING: str(seconds), "PYTHONPATH": str(directory)}


def set_wrong(seconds: int) -> None:
    """Let whatever is imported from now on see that clock."""
    true_time, true_time_ns = time.time, time.time_ns

    class _Wrong(_Datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return _TrueDatetime.now(tz) + datetime.timedelta(seconds=seconds)

    time.time = lambda: true_time() + seconds
    time.time_ns = lambda: true_time_ns() + seconds * 10**9
    datetime.datetime = _Wrong  # type: ignore[misc]


if __name__ == "clock":
    set_wrong(int(os.environ[SETTING]))
    sys.stderr.write(f"clock.wrong: it is {datetime.datetime.now()} here\n")
