"""What a media process would find on this machine: the versions of its libraries, and unavailable sandbox layers.

Run as ``python -m clipzy_worker.decode.probe`` it prints one JSON object, which ``sandbox.readiness`` reads.
"""

import json

import av

from clipzy_worker.sandbox import confinement

FFMPEG_FLOOR = (8, 1, 2)  # the first release of its line without CVE-2026-8461
LIBAVCODEC_FLOOR = (62, 28, 102)  # that of FFmpeg 8.1.2, for builds without a release number
PYAV_FLOOR = (18, 1)


def outdated_library() -> str | None:
    """Which of PyAV and its libraries is too old, as a sentence without its full stop; None if none is."""
    return below_floor(
        pyav=av.__version__,
        ffmpeg=av.ffmpeg_version_info,
        libavcodec=av.library_versions["libavcodec"],
    )


def below_floor(*, pyav: str, ffmpeg: str, libavcodec: tuple[int, ...]) -> str | None:
    """The same for given versions."""
    if _numbers(pyav) < PYAV_FLOOR:
        return f"PyAV {pyav} is older than {_dotted(PYAV_FLOOR)}"
    if (_numbers(ffmpeg) or FFMPEG_FLOOR) < FFMPEG_FLOOR:
        return f"PyAV {pyav} brings FFmpeg {ffmpeg}, older than {_dotted(FFMPEG_FLOOR)}"
    if libavcodec < LIBAVCODEC_FLOOR:
        return f"PyAV {pyav} brings libavcodec {_dotted(libavcodec)}, older than {_dotted(LIBAVCODEC_FLOOR)}"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """``n8.1.2-1-g0`` as ``(8, 1, 2)``; empty if it does not begin with a number, as with a nightly build."""
    numbers: list[int] = []
    for part in version.lstrip("n").partition("-")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def main() -> None:
    libraries = {
        "versions": f"PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}",
        "outdated": outdated_library(),
    }
    confinement.forbid_new_privileges()
    print(json.dumps(libraries | {"unavailable": confinement.unavailable_layers()}))  # noqa: T201 - its output


if __name__ == "__main__":
    main()
