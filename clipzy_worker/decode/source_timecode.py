"""The timecode of a recording: cameras write it into a track of its own, recorders into the tags of the file."""

from collections.abc import Iterator, Mapping

from clipzy_storage.models.timecode import timecode_from, timeline_rate
from clipzy_worker.decode.source import Source

_TAG = "timecode"


def source_timecode(source: Source, *, frames_per_second: float) -> str | None:
    """Of the first frame, as ``HH:MM:SS:FF`` or, for drop frame, ``HH:MM:SS;FF``: that of the video track first.

    None without one, or if no frame of this rate can have it.
    """
    rate = timeline_rate(frames_per_second)
    for text in _tags(source):
        try:
            timecode, frame = timecode_from(text, rate)
        except ValueError:
            continue
        return timecode.text(frame)
    return None


def _tags(source: Source) -> Iterator[str]:
    others = (track for track in source.container.streams if track is not source.video)
    for metadata in (source.video.metadata, *(track.metadata for track in others), source.container.metadata):
        yield from _tagged(metadata)


def _tagged(metadata: Mapping[str, str]) -> Iterator[str]:
    """Matroska has its tags in capitals."""
    return (text for name, text in metadata.items() if name.lower() == _TAG)
