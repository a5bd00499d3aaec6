"""The checks of ``clipzy doctor`` on the worker: ``python -m clipzy_worker.doctor`` prints them as one JSON object."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipzy_storage.config import logs
from clipzy_storage.config.environment import log_settings_from_env, settings_from_env
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.free_space import free_space
from clipzy_worker.errors import InvalidMedia, MediaCrashed
from clipzy_worker.processing import scratch
from clipzy_worker.sandbox import readiness
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest

RUN_TIMEOUT_SECONDS = 20


def report() -> dict[str, dict[str, Any]]:
    """Every check by name, each with ``ok`` and a ``detail``, which has the remedy if it failed."""
    return {
        "ffmpeg": _checked(_ffmpeg),
        "decoder": _checked(_decoder),
        "sandbox": _checked(_sandbox),
        "scratch": _checked(_scratch),
    }


def _checked(check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"ok": True, "detail": check()}
    except ConfigurationError as error:
        return {"ok": False, "detail": str(error)}
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError, InvalidMedia, MediaCrashed) as error:
        return {"ok": False, "detail": f"{str(error).rstrip('.')}. Reinstall the requirements of the worker."}


def _ffmpeg() -> str:
    """The ffmpeg program runs."""
    import imageio_ffmpeg

    ended = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_TIMEOUT_SECONDS,
    )
    return ended.stdout.partition(" Copyright")[0].strip()


def _decoder() -> str:
    """The media libraries are new enough, and a media process can read a video that ffmpeg has just encoded."""
    found = readiness.probe()
    if found.outdated:
        raise RuntimeError(found.outdated)
    with tempfile.TemporaryDirectory(prefix="clipzy-doctor-") as name:
        codec = _analysed_codec(Path(name))
    return f"{found.versions}, in a media process: {codec} read"


def _analysed_codec(directory: Path) -> str:
    import imageio_ffmpeg

    video = directory / "video.mp4"
    encode = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=1", "-pix_fmt", "yuv420p", str(video)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *encode], check=True, timeout=RUN_TIMEOUT_SECONDS)
    with MediaProcess(MediaRequest(video, "mp4", directory, sandbox=settings_from_env().sandbox)) as media:
        for _ in media.updates():
            pass
        return str(media.result().source.video_codec)


def _sandbox() -> str:
    """The sandbox layers around a media process here."""
    mode, found = settings_from_env().sandbox, readiness.probe()
    if mode == "off":
        return "off: videos are decoded with the rights of the worker; CLIPZY_SANDBOX=best-effort confines the decoder"
    if mode == "required" and found.unavailable:
        raise ConfigurationError([readiness.refusal(found)])
    lacks = "".join(f"; lacks {name} ({reason})" for name, reason in found.unavailable.items())
    return f"{mode}: sandbox layers: {', '.join(found.layers) or 'none'}{lacks}"


def _scratch() -> str:
    """Attempts can work in WORK_DIR."""
    work_dir = settings_from_env().work_dir
    if full := scratch.check(work_dir):
        raise ConfigurationError([f"jobs wait: {full}. Free some, or set WORK_DIR to a directory on a larger disk."])
    existing = next(directory for directory in (work_dir, *work_dir.parents) if directory.exists())
    return f"{work_dir} is writable, {free_space(existing)} free"


if __name__ == "__main__":
    logs.configure(log_settings_from_env())  # otherwise events are printed next to the report
    print(json.dumps(report()))  # noqa: T201 - its output
