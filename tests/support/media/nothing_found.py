"""A valid analysis in which nothing was found, for tests of what is done with one."""

from typing import Any

from clipzy_storage.models.analysis import Analysis


def nothing_found(**parts: Any) -> Analysis:
    """The analysis of a grey second, but for these parts."""
    source = {
        "duration_seconds": 1.0,
        "width": 16,
        "height": 16,
        "frame_rate": 25.0,
        "video_codec": "h264",
        "audio_codec": None,
    }
    empty: dict[str, Any] = {"source": source, "shots": [], "artifacts": [], "warnings": [], "timings": {}}
    return Analysis.model_validate(empty | parts)
