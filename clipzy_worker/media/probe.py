"""What a media process would have here. Run as ``python -m clipzy_worker.media.probe``, it says so as one JSON object.

A process of its own, since it encloses itself to find out; it looks at no footage.
"""

import json

from clipzy_worker.media import sandbox, versions
from clipzy_worker.media.confine import forbid_new_privileges


def outdated() -> str | None:
    """What is too old among the libraries that come with PyAV; ``None`` where nothing is."""
    import av

    return versions.complaint(
        pyav=av.__version__,
        ffmpeg=av.ffmpeg_version_info,
        libavcodec=av.library_versions["libavcodec"],
    )


def main() -> None:
    found = {"outdated": outdated()}
    forbid_new_privileges()
    print(json.dumps(found | {"missing": sandbox.missing()}))  # noqa: T201 - this is its answer


if __name__ == "__main__":
    main()
