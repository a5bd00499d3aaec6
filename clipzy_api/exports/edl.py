"""CMX 3600 edit decision lists: one event a section, of picture and sound."""

from collections.abc import Iterator

from clipzy_api.exports.timeline import NOMINAL, Section, Timeline

MAX_EVENTS = 999
REEL = "A001"
_MAX_TITLE_LENGTH = 70
_MAX_DISSOLVE_FRAMES = 255


def edl(timeline: Timeline) -> str:
    """A dissolve is a cut of no length to what goes on, and the dissolve from there."""
    return "".join(f"{line}\n" for line in _lines(timeline))


def _lines(timeline: Timeline) -> Iterator[str]:
    yield f"TITLE: {timeline.title[:_MAX_TITLE_LENGTH]}"
    yield f"FCM: {'DROP FRAME' if timeline.timecode.is_drop else 'NON-DROP FRAME'}"
    for number, section in enumerate(timeline.sections, 1):
        yield ""
        yield from _event(timeline, section, f"{number:03}  {REEL:<8} {'AA/V' if timeline.sound else 'V':<5}")
        # Premiere shows media as UNKNOWN after any other comment on its origin.
        yield f"* FROM CLIP NAME: {timeline.media.name}"
        if _dissolve_frames(section):
            yield f"* TO CLIP NAME: {timeline.media.name}"
        if timeline.is_nominal and number == 1:  # some programs take no comment before the first event
            yield f"* {NOMINAL}"


def _event(timeline: Timeline, section: Section, beginning: str) -> Iterator[str]:
    source, record = timeline.source_start + section.start_frame, timeline.record_start + section.record_frame
    if dissolve_frames := _dissolve_frames(section):
        yield f"{beginning} C        {_times(timeline, source, record, 0)}"
        yield f"{beginning} D    {dissolve_frames:03} {_times(timeline, source, record, section.frames)}"
    else:
        yield f"{beginning} C        {_times(timeline, source, record, section.frames)}"


def _dissolve_frames(section: Section) -> int:
    """Before the first section there is nothing to dissolve from."""
    return min(section.dissolve_frames, _MAX_DISSOLVE_FRAMES) if section.record_frame else 0


def _times(timeline: Timeline, source: int, record: int, frames: int) -> str:
    return " ".join(map(timeline.timecode.text, (source, source + frames, record, record + frames)))
