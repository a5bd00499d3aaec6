"""What ``clipzy doctor`` asks of the worker's side: ``python -m clipzy_worker.checks`` prints it as one JSON object."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

FLOOR = (8, 1, 2)  # the first FFmpeg without CVE-2026-8461
RUN_SECONDS = 20


def report() -> dict[str, dict[str, Any]]:
    """Every check by name, each with ``ok`` and a ``detail`` that holds the remedy where it is not."""
    return {"ffmpeg": _checked(_ffmpeg), "decoder": _checked(_decoder)}


def _checked(check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"ok": True, "detail": check()}
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return {"ok": False, "detail": f"{error}. Reinstall the requirements of the worker."}


def _ffmpeg() -> str:
    """The ffmpeg program runs."""
    import imageio_ffmpeg

    answer = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_SECONDS,
    )
    return answer.stdout.partition(" Copyright")[0].strip()


def _decoder() -> str:
    """The decoder library is new enough."""
    import av

    version = av.ffmpeg_version_info
    if _numbers(version) < FLOOR:
        raise RuntimeError(f"PyAV {av.__version__} brings FFmpeg {version}, older than {'.'.join(map(str, FLOOR))}")
    return f"PyAV {av.__version__} with FFmpeg {version}"


def _numbers(version: str) -> tuple[int, ...]:
    """``n8.1.2-1-g0`` as ``(8, 1, 2)``; a version that is no number is a build of the day, newer than any."""
    digits = version.lstrip("n").partition("-")[0].split(".")
    return tuple(int(part) for part in digits) if all(part.isdigit() for part in digits) else (sys.maxsize,)


if __name__ == "__main__":
    print(json.dumps(report()))  # noqa: T201 - this is its answer
