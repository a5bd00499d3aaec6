"""What a media process would meet on this machine: outdated libraries, missing sandbox layers. A program of its own."""

import json

from clipzy_worker.sandbox import confinement
from clipzy_worker.sandbox.confinement import forbid_new_privileges

FFMPEG_FLOOR = (8, 1, 2)  # the first release of its line without CVE-2026-8461
LIBAVCODEC_FLOOR = (62, 28, 102)  # that of FFmpeg 8.1.2, for builds that have no number of a release
PYAV_FLOOR = (18, 1)


def complaint(*, pyav: str, ffmpeg: str, libavcodec: tuple[int, ...]) -> str | None:
    """What is too old, as a sentence without its end; ``None`` where nothing is."""
    if _numbers(pyav) < PYAV_FLOOR:
        return f"PyAV {pyav} is older than {_dotted(PYAV_FLOOR)}"
    if (_numbers(ffmpeg) or FFMPEG_FLOOR) < FFMPEG_FLOOR:
        return f"PyAV {pyav} brings FFmpeg {ffmpeg}, older than {_dotted(FFMPEG_FLOOR)}"
    if libavcodec < LIBAVCODEC_FLOOR:
        return f"PyAV {pyav} brings libavcodec {_dotted(libavcodec)}, older than {_dotted(LIBAVCODEC_FLOOR)}"
    return None


def _numbers(version: str) -> tuple[int, ...]:
    """``n8.1.2-1-g0`` as ``(8, 1, 2)``; empty where it begins with no number, as a build of the day does."""
    numbers: list[int] = []
    for part in version.lstrip("n").partition("-")[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
    return tuple(numbers)


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def outdated() -> str | None:
    """What is too old among the libraries that come with PyAV; ``None`` where nothing is."""
    import av

    return complaint(
        pyav=av.__version__,
        ffmpeg=av.ffmpeg_version_info,
        libavcodec=av.library_versions["libavcodec"],
    )


def main() -> None:
    found = {"outdated": outdated()}
    forbid_new_privileges()
    print(json.dumps(found | {"missing": confinement.missing()}))  # noqa: T201 - this is its answer


if __name__ == "__main__":
    main()
