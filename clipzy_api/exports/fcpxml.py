"""FCPXML 1.10, for Final Cut Pro and Resolve. Later versions are not read by Resolve 18.5."""

from xml.etree.ElementTree import Element

from clipzy_api.exports.timeline import NOMINAL, Section, Timeline
from clipzy_api.exports.xml_text import add, written

VERSION = "1.10"
_FORMAT, _ASSET = "r1", "r2"
# Those that the rate of a sequence may be, in Hz.
_AUDIO_RATES = {32_000: "32k", 44_100: "44.1k", 48_000: "48k", 88_200: "88.2k", 96_000: "96k", 192_000: "192k"}


def fcpxml(timeline: Timeline) -> str:
    """All times are multiples of the duration of a frame, on the clock of the file or of the timeline."""
    root = Element("fcpxml", version=VERSION)
    _add_resources(root, timeline)
    event = add(add(root, "library"), "event", name="Clipzy")
    project = add(event, "project", name=timeline.title)
    sequence = add(project, "sequence", format=_FORMAT, duration=_time(timeline, timeline.frames))
    sequence.set("tcStart", _time(timeline, timeline.record_start))
    sequence.set("tcFormat", _tc_format(timeline))
    if timeline.sound:
        sequence.set("audioLayout", "mono" if timeline.audio_channels == 1 else "stereo")
        sequence.set("audioRate", _AUDIO_RATES.get(timeline.sound.sample_rate_hz, "48k"))
    if timeline.is_nominal:
        add(sequence, "note", NOMINAL)
    spine = add(sequence, "spine")
    for section in timeline.sections:
        _add_clip(spine, timeline, section)
    return written(root)


def _add_resources(root: Element, timeline: Timeline) -> None:
    resources, source = add(root, "resources"), timeline.source
    rate = timeline.rate
    frame_duration = f"{rate.denominator}/{rate.numerator}s"
    add(resources, "format", id=_FORMAT, frameDuration=frame_duration, width=source.width, height=source.height)
    asset = add(resources, "asset", id=_ASSET, name=timeline.media.name, start=_time(timeline, timeline.source_start))
    asset.set("duration", _time(timeline, timeline.media_frames))
    asset.set("hasVideo", "1")
    asset.set("format", _FORMAT)
    asset.set("videoSources", "1")
    if timeline.sound:
        sound = {"hasAudio": 1, "audioSources": 1, "audioChannels": timeline.sound.channels}
        for name, value in (sound | {"audioRate": timeline.sound.sample_rate_hz}).items():
            asset.set(name, str(value))
    add(asset, "media-rep", kind="original-media", src=timeline.media.file_url())


def _add_clip(spine: Element, timeline: Timeline, section: Section) -> None:
    add(
        spine,
        "asset-clip",
        ref=_ASSET,
        name=section.name,
        offset=_time(timeline, timeline.record_start + section.record_frame),
        start=_time(timeline, timeline.source_start + section.start_frame),
        duration=_time(timeline, section.frames),
        format=_FORMAT,
        tcFormat=_tc_format(timeline),
    )


def _tc_format(timeline: Timeline) -> str:
    return "DF" if timeline.timecode.is_drop else "NDF"


def _time(timeline: Timeline, frames: int) -> str:
    return f"{frames * timeline.rate.denominator}/{timeline.rate.numerator}s" if frames else "0s"
