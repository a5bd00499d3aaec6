"""Final Cut Pro 7 XML (xmeml 5), which is Premiere's way in, and is read by Resolve."""

from xml.etree.ElementTree import Element

from clipzy_api.exports.timeline import NOMINAL, Section, Timeline
from clipzy_api.exports.xml_text import add, written

_FILE = "file-1"


def fcp7(timeline: Timeline) -> str:
    """``in`` and ``out`` count from the first frame of the file, whose timecode is an element of its own."""
    root = Element("xmeml", version="5")
    sequence = add(root, "sequence", id="sequence-1")
    add(sequence, "name", timeline.title)
    add(sequence, "duration", timeline.frames)
    _add_rate(sequence, timeline)
    _add_timecode(sequence, timeline, timeline.record_start)
    if timeline.is_nominal:
        add(add(sequence, "logginginfo"), "lognote", NOMINAL)
    media = add(sequence, "media")
    video = add(media, "video")
    _add_picture_format(add(video, "format"), timeline)
    _add_track(video, timeline, kind="video", index=1)
    if timeline.sound:
        _add_audio(media, timeline)
    return written(root)


def _add_picture_format(parent: Element, timeline: Timeline) -> None:
    characteristics = add(parent, "samplecharacteristics")
    _add_rate(characteristics, timeline)
    add(characteristics, "width", timeline.source.width)
    add(characteristics, "height", timeline.source.height)
    add(characteristics, "anamorphic", "FALSE")
    add(characteristics, "pixelaspectratio", "square")
    add(characteristics, "fielddominance", "none")


def _add_audio(media: Element, timeline: Timeline) -> None:
    """Each channel on a track, as Premiere takes them."""
    audio = add(media, "audio")
    add(audio, "numOutputChannels", timeline.audio_channels)
    _add_sound_format(add(audio, "format"), timeline)
    for channel in range(1, timeline.audio_channels + 1):
        track = _add_track(audio, timeline, kind="audio", index=channel)
        add(track, "outputchannelindex", channel)


def _add_sound_format(parent: Element, timeline: Timeline) -> None:
    characteristics = add(parent, "samplecharacteristics")
    add(characteristics, "depth", 16)
    add(characteristics, "samplerate", timeline.sound.sample_rate_hz if timeline.sound else 48_000)


def _add_track(parent: Element, timeline: Timeline, *, kind: str, index: int) -> Element:
    track = add(parent, "track")
    for number, section in enumerate(timeline.sections, 1):
        item = add(track, "clipitem", id=_clip_id(kind, index, number))
        _add_clip(item, timeline, section)
        file = add(item, "file", id=_FILE)
        if (kind, number) == ("video", 1):  # later uses have the id alone
            _describe_file(file, timeline)
        if kind == "audio":
            source_track = add(item, "sourcetrack")
            add(source_track, "mediatype", "audio")
            add(source_track, "trackindex", index)
        if timeline.sound:
            _add_links(item, timeline, number)
    return track


def _add_clip(item: Element, timeline: Timeline, section: Section) -> None:
    add(item, "name", section.name)
    add(item, "enabled", "TRUE")
    add(item, "duration", timeline.media_frames)
    _add_rate(item, timeline)
    add(item, "start", section.record_frame)
    add(item, "end", section.record_end_frame)
    add(item, "in", section.start_frame)
    add(item, "out", section.end_frame)


def _describe_file(file: Element, timeline: Timeline) -> None:
    add(file, "name", timeline.media.name)
    add(file, "pathurl", timeline.media.file_url("localhost"))
    _add_rate(file, timeline)
    add(file, "duration", timeline.media_frames)
    _add_timecode(file, timeline, timeline.source_start)
    media = add(file, "media")
    _add_picture_format(add(media, "video"), timeline)
    if timeline.sound:
        audio = add(media, "audio")
        _add_sound_format(audio, timeline)
        add(audio, "channelcount", timeline.sound.channels)


def _add_links(item: Element, timeline: Timeline, number: int) -> None:
    """Of the picture and the sound of a section, so that they are moved together."""
    kinds = [("video", 1), *(("audio", channel) for channel in range(1, timeline.audio_channels + 1))]
    for kind, index in kinds:
        link = add(item, "link")
        add(link, "linkclipref", _clip_id(kind, index, number))
        add(link, "mediatype", kind)
        add(link, "trackindex", index)
        add(link, "clipindex", number)


def _clip_id(kind: str, index: int, number: int) -> str:
    return f"{kind}-{index}-{number}"


def _add_rate(parent: Element, timeline: Timeline) -> None:
    rate = add(parent, "rate")
    add(rate, "timebase", timeline.timecode.base)
    add(rate, "ntsc", "FALSE" if timeline.rate.denominator == 1 else "TRUE")


def _add_timecode(parent: Element, timeline: Timeline, frame: int) -> None:
    element = add(parent, "timecode")
    _add_rate(element, timeline)
    add(element, "string", timeline.timecode.text(frame))
    add(element, "frame", frame)
    add(element, "displayformat", "DF" if timeline.timecode.is_drop else "NDF")
