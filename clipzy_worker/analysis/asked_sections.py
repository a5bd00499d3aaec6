"""The sections that ``config.clips.ranges`` asks for, as frames of the video."""

from collections.abc import Sequence
from operator import attrgetter

from clipzy_storage.models.clip_options import TimeRange
from clipzy_storage.models.clips import Edge, Edges
from clipzy_worker.analysis.sections import Section
from clipzy_worker.decode.frame_index import FrameIndex

_DECIMALS = 6
# Times are asked for with a few decimals.
_ROUNDING_SECONDS = 0.001
_ENDS_EARLIER = "The video ends {:.3f} seconds before the end that was asked for."


def asked_sections(ranges: Sequence[TimeRange], index: FrameIndex) -> tuple[list[Section], list[str]]:
    """A section for each range, by time; ranges that begin with the same frame stay in the order of asking.

    Both ends are moved to frames, outwards, and none is later than the end of the video. A range that lies wholly past
    it has no section: the second list says so, for the warnings of the job.
    """
    sections, warnings = [], []
    for number, asked in enumerate(ranges):
        frames = index.frames_of(asked.start_seconds, asked.end_seconds)
        if frames:
            sections.append(_section(asked, frames, index))
        else:
            warnings.append(_missing(number, asked, index))
    return sorted(sections, key=attrgetter("frames.start")), warnings


def _section(asked: TimeRange, frames: range, index: FrameIndex) -> Section:
    starts_at, ends_at = index.seconds_of(frames.start), index.seconds_of(frames.stop)
    edges = Edges(
        start=Edge(
            kind="asked" if frames.start else "end", moved_seconds=round(starts_at - asked.start_seconds, _DECIMALS)
        ),
        end=Edge(
            kind="asked" if frames.stop < len(index) else "end",
            moved_seconds=round(ends_at - asked.end_seconds, _DECIMALS),
        ),
    )
    missing_seconds = asked.end_seconds - ends_at
    if missing_seconds < _ROUNDING_SECONDS:
        return Section(frames, edges)
    return Section(frames, edges, warnings=[_ENDS_EARLIER.format(missing_seconds)])


def _missing(number: int, asked: TimeRange, index: FrameIndex) -> str:
    where = f"{asked.start_seconds:g} to {asked.end_seconds:g} seconds (ranges[{number}])"
    if asked.start_seconds < index.end_seconds:
        return f"Nothing is shown from {where}, so there is no clip of it: the first frame comes later."
    return f"The video ends at {index.end_seconds:.3f} seconds, so there is no clip of {where}."
