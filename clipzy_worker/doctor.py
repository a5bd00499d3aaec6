"""What ``clipzy doctor`` asks of the worker's side: ``python -m clipzy_worker.doctor`` prints it as one JSON object."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipzy_storage.config.settings import Settings
from clipzy_storage.errors import ConfigurationError
from clipzy_worker.errors import InvalidMedia, MediaCrashed
from clipzy_worker.processing import scratch
from clipzy_worker.sandbox import readiness
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest

RUN_SECONDS = 20


def report() -> dict[str, dict[str, Any]]:
    """Every check by name, each with ``ok`` and a ``detail`` that holds the remedy where it is not."""
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

    answer = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=RUN_SECONDS,
    )
    return answer.stdout.partition(" Copyright")[0].strip()


def _decoder() -> str:
    """The decoder library is new enough, and a media process can read a film that ffmpeg has just made."""
    import av

    if outdated := readiness.probe().outdated:
        raise RuntimeError(outdated)
    with tempfile.TemporaryDirectory(prefix="clipzy-doctor-") as name:
        found = _analysed(Path(name))
    return f"PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}, in a process of its own: {found}"


def _analysed(folder: Path) -> str:
    import imageio_ffmpeg

    film = folder / "film.mp4"
    made = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=1", "-pix_fmt", "yuv420p", str(film)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *made], check=True, timeout=RUN_SECONDS)
    with MediaProcess(MediaRequest(film, "mp4", folder, sandbox=Settings.from_env().sandbox)) as media:
        for _ in media.updates():
            pass
        source = media.result().source
    return f"{source.video_codec} read"


def _sandbox() -> str:
    """What stands around a media process here."""
    mode, found = Settings.from_env().sandbox, readiness.probe()
    if mode == "off":
        return "off: footage is decoded with the rights of the worker; CLIPZY_SANDBOX=best-effort encloses it"
    if mode == "required" and found.missing:
        raise ConfigurationError([readiness.refusal(found)])
    lacks = "".join(f"; lacks {name} ({reason})" for name, reason in found.missing.items())
    return f"{mode}: walled off are {', '.join(found.walls) or 'none'}{lacks}"


def _scratch() -> str:
    """Attempts can work in WORK_DIR."""
    work_dir = Settings.from_env().work_dir
    scratch.check(work_dir)
    return f"{work_dir} can be written"


if __name__ == "__main__":
    print(json.dumps(report()))  # noqa: T201 - this is its answer
