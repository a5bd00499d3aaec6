"""The timeline that all formats write: sections of one video, one after the other, in frames of one rate."""

from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Literal

from clipzy_api.exports.document import Audio, Clip, Document, Shot, Source
from clipzy_api.exports.media_file import MediaFile
from clipzy_storage.models.timecode import Timecode, exact_rate, timecode_from, timeline_rate

Of = Literal["shots", "clips"]

NOMINAL = (
    "timing: nominal. The frames of the video are not shown for equally long, or at a rate that no timeline has;"
    " positions are by time."
)
_ROUNDING_FRAMES = 1e-3
"""By which a time may lie before the frame that it is that of: output.json has microseconds."""


@dataclass(frozen=True)
class Section:
    """From ``start_frame`` up to but without ``end_frame``, counted from 0, the first frame of the file."""

    name: str
    part: Shot | Clip
    start_frame: int
    end_frame: int
    record_frame: int
    """Where it begins in the timeline, counted from 0."""
    dissolve_frames: int = 0

    @property
    def frames(self) -> int:
        return self.end_frame - self.start_frame

    @property
    def record_end_frame(self) -> int:
        return self.record_frame + self.frames


@dataclass(frozen=True)
class Timeline:
    """``source_start`` is the number of the file's first frame in its own timecode, ``record_start`` that of the
    timeline's. ``is_nominal``: the frames are not those of the file, see ``NOMINAL``.
    """

    of: Of
    media: MediaFile
    source: Source
    sound: Audio | None
    timecode: Timecode
    source_start: int
    record_start: int
    media_frames: int
    is_nominal: bool
    sections: list[Section]

    @property
    def title(self) -> str:
        return f"{self.media.stem} {self.of}"

    @property
    def rate(self) -> Fraction:
        return self.timecode.rate

    @property
    def frames(self) -> int:
        return self.sections[-1].record_end_frame if self.sections else 0

    @property
    def audio_channels(self) -> int:
        """Those that are on the timeline: none, one or two."""
        return min(self.sound.channels, 2) if self.sound else 0

    def frame_at(self, seconds: float) -> int:
        """The number of the frame at a time of the video, from 0, its first."""
        return frame_at(seconds, self.source, self.rate)


def timeline_of(document: Document, of: Of, media: MediaFile) -> Timeline:
    """The shots of the video, or its clips, which may overlap."""
    source = document.source
    timecode, source_start = _timecode_of(source)
    rate = timecode.rate
    # The sound may end after the last frame, by less than one.
    media_frames = max(1, floor((source.duration_seconds - source.first_frame_seconds) * rate + _ROUNDING_FRAMES))
    return Timeline(
        of=of,
        media=media,
        source=source,
        sound=document.sound,
        timecode=timecode,
        source_start=source_start,
        record_start=_record_start(timecode),
        media_frames=media_frames,
        is_nominal=_is_nominal(document, rate),
        sections=_sections(document, of, rate=rate, media_frames=media_frames),
    )


def frame_at(seconds: float, source: Source, rate: Fraction) -> int:
    return max(0, round((seconds - source.first_frame_seconds) * rate))


def _sections(document: Document, of: Of, *, rate: Fraction, media_frames: int) -> list[Section]:
    """Those with at least one frame."""
    parts = document.shots if of == "shots" else document.clips
    sections: list[Section] = []
    record_frame = 0
    for part in parts:
        start, end = (frame_at(seconds, document.source, rate) for seconds in (part.start_seconds, part.end_seconds))
        end = min(end, media_frames)
        if end <= start:
            continue
        sections.append(
            Section(_name(part), part, start, end, record_frame, min(_dissolve_frames(part, rate), end - start))
        )
        record_frame += end - start
    return sections


def _name(part: Shot | Clip) -> str:
    return f"shot-{part.index:03}" if isinstance(part, Shot) else f"clip-{part.index:02}"


def _dissolve_frames(part: Shot | Clip, rate: Fraction) -> int:
    if isinstance(part, Shot) and part.transition == "dissolve":
        return round(part.transition_seconds * rate)
    return 0


def _timecode_of(source: Source) -> tuple[Timecode, int]:
    """Of the timeline, which has drop frame if the file has; and the file's first frame in it, 0 without timecode."""
    rate = timeline_rate(source.frame_rate)
    try:
        return timecode_from(source.timecode, rate) if source.timecode else (Timecode(rate), 0)
    except ValueError:  # such as one of another rate than that of the frames
        return Timecode(rate), 0


def _record_start(timecode: Timecode) -> int:
    """One hour, as everywhere in film and television."""
    return timecode.frame("01:00:00;00" if timecode.is_drop else "01:00:00:00")


def _is_nominal(document: Document, rate: Fraction) -> bool:
    source = document.source
    if source.frame_rate is None or exact_rate(source.frame_rate) != rate:
        return True
    edges = [(clip.start_seconds, clip.start_frame) for clip in document.clips]
    edges += [(clip.end_seconds, clip.end_frame) for clip in document.clips]
    return any(frame_at(seconds, source, rate) != counted for seconds, counted in edges)
