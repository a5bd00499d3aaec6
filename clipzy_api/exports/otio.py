"""OpenTimelineIO: a track of picture and one of sound, with the beats and the scores."""

import json
from bisect import bisect_left
from typing import Any

from clipzy_api.exports.timeline import NOMINAL, Section, Timeline

Fragment = dict[str, Any]


def otio(timeline: Timeline) -> str:
    """Clips lie on the clock of the file: its timecode is added to what is taken of it."""
    beats = _beats(timeline)
    tracks = [_track(timeline, "Video", beats)] + ([_track(timeline, "Audio", [])] if timeline.sound else [])
    document = {
        "OTIO_SCHEMA": "Timeline.1",
        "metadata": {"clipzy": {"timing": NOMINAL} if timeline.is_nominal else {}},
        "name": timeline.title,
        "global_start_time": _time(timeline, timeline.record_start),
        "tracks": _item("Stack.1", "tracks") | {"children": tracks},
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _track(timeline: Timeline, kind: str, beats: list[tuple[int, float]]) -> Fragment:
    children = [_clip(timeline, section, beats) for section in timeline.sections]
    return _item("Track.1", kind) | {"kind": kind, "children": children}


def _clip(timeline: Timeline, section: Section, beats: list[tuple[int, float]]) -> Fragment:
    reference = {
        "OTIO_SCHEMA": "ExternalReference.1",
        "metadata": {},
        "name": timeline.media.name,
        "available_range": _range(timeline, timeline.source_start, timeline.media_frames),
        "available_image_bounds": None,
        "target_url": timeline.media.link,
    }
    inside = beats[bisect_left(beats, (section.start_frame,)) : bisect_left(beats, (section.end_frame,))]
    return _item("Clip.2", section.name) | {
        "metadata": {"clipzy": section.part.model_dump(mode="json")},
        "source_range": _range(timeline, timeline.source_start + section.start_frame, section.frames),
        "markers": [_marker(timeline, frame, confidence) for frame, confidence in inside],
        "media_references": {"DEFAULT_MEDIA": reference},
        "active_media_reference_key": "DEFAULT_MEDIA",
    }


def _item(schema: str, name: str) -> Fragment:
    """What all items of a timeline have."""
    return {
        "OTIO_SCHEMA": schema,
        "metadata": {},
        "name": name,
        "source_range": None,
        "effects": [],
        "markers": [],
        "enabled": True,
    }


def _beats(timeline: Timeline) -> list[tuple[int, float]]:
    """Their frames, in order, with the confidence."""
    beats = timeline.sound.beats if timeline.sound else []
    return sorted((timeline.frame_at(beat.time_seconds), beat.confidence) for beat in beats)


def _marker(timeline: Timeline, frame: int, confidence: float) -> Fragment:
    return {
        "OTIO_SCHEMA": "Marker.2",
        "metadata": {"clipzy": {"confidence": confidence}},
        "name": "beat",
        "color": "PURPLE",
        "comment": "",
        "marked_range": _range(timeline, timeline.source_start + frame, 0),
    }


def _range(timeline: Timeline, start: int, frames: int) -> Fragment:
    return {
        "OTIO_SCHEMA": "TimeRange.1",
        "start_time": _time(timeline, start),
        "duration": _time(timeline, frames),
    }


def _time(timeline: Timeline, frame: int) -> Fragment:
    return {"OTIO_SCHEMA": "RationalTime.1", "rate": float(timeline.rate), "value": float(frame)}
