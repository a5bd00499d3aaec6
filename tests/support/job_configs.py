"""Right and wrong `config`s, and how they are sent."""

import json
from dataclasses import dataclass

import requests

from tests.support.forms import form, mp4_bytes, part
from tests.support.servers import FrontEnd
from tests.support.wire import Answer, exchange, head

JOBS, VIDEOS = "/api/v1/jobs", "/api/v1/videos"
FILE = part("file", mp4_bytes(1000), filename="holiday.mp4")
EVERYTHING = {
    "analyses": ["style", "audio"],
    "shots": {"sensitivity": 2, "min_seconds": 0.5},
    "silence": {"threshold_dbfs": -40.5, "min_seconds": 1},
    "thumbnails": {"per": "interval", "interval_seconds": 2.5, "width": 640},
    "sprites": False,
    "reuse": False,
}
NO_VIDEO = "vid_00000000000000000000000000"


@dataclass(frozen=True)
class Wrong:
    """JSON text, the field that the answer names, and words of the answer."""

    text: str | bytes
    field: str
    words: tuple[str, ...]
    is_valid_by_schema: bool = False
    """A schema cannot compare two fields with each other."""


WRONG = {
    "no JSON": Wrong("{", "config", ("JSON object",)),
    "empty": Wrong("", "config", ("JSON object",)),
    "two values": Wrong("{} {}", "config", ("JSON object",)),
    "no text": Wrong(b'{"sprites": "\xff"}', "config", ("JSON object", "unicode")),
    "list": Wrong("[1]", "config", ("a JSON object",)),
    "null": Wrong("null", "config", ("a JSON object",)),
    "text": Wrong('"{}"', "config", ("a JSON object",)),
    "NaN": Wrong('{"shots": {"sensitivity": NaN}}', "config", ("JSON object", "column 27")),
    "infinity": Wrong('{"shots": {"sensitivity": -Infinity}}', "config", ("invalid number",)),
    "a number beyond all": Wrong('{"shots": {"sensitivity": 1e999}}', "config.shots.sensitivity", ("finite",)),
    "a number of many digits": Wrong('{"thumbnails": {"width": %s}}' % ("9" * 5000), "config", ("out of range",)),
    "a number of many digits more": Wrong(
        '{"thumbnails": {"width": %s}}' % ("9" * 4300), "config.thumbnails.width", ()
    ),
    "half a character": Wrong('{"\\ud800": 1}', "config", ("hex escape",)),
    "the other half": Wrong('{"\\udc00": 1}', "config", ("hex escape",)),
    "deep": Wrong("[" * 8000 + "]" * 8000, "config", ("recursion limit",)),
    "deep objects": Wrong('{"a":' * 2500 + "1" + "}" * 2500, "config", ("recursion limit",)),
    "too long": Wrong(json.dumps({"analyses": ["audio"] * 2000}), "config", ("at most 16 KiB",)),
    "unknown": Wrong('{"colour": 1}', "config.colour", ("unknown",)),
    "unknown below": Wrong('{"shots": {"speed": 1}}', "config.shots.speed", ("unknown",)),
    "later": Wrong('{"webhook_url": "x"}', "config.webhook_url", ("unknown",)),
    "too small": Wrong('{"shots": {"sensitivity": 0.5}}', "config.shots.sensitivity", ("is 0.5", "equal to 1.")),
    "too large": Wrong('{"shots": {"sensitivity": 21}}', "config.shots.sensitivity", ("is 21", "equal to 20.")),
    "loud": Wrong('{"silence": {"threshold_dbfs": 0}}', "config.silence.threshold_dbfs", ("is 0", "equal to -10.")),
    "number as text": Wrong('{"shots": {"sensitivity": "3"}}', "config.shots.sensitivity", ('is "3"', "valid number")),
    "true for a number": Wrong('{"shots": {"sensitivity": true}}', "config.shots.sensitivity", ("is true",)),
    "null for a number": Wrong('{"shots": {"sensitivity": null}}', "config.shots.sensitivity", ("is null",)),
    "half a pixel": Wrong('{"thumbnails": {"width": 320.5}}', "config.thumbnails.width", ("is 320.5", "valid integer")),
    "one for true": Wrong('{"sprites": 1}', "config.sprites", ("is 1", "valid boolean")),
    "text for false": Wrong('{"reuse": "false"}', "config.reuse", ("valid boolean",)),
    "no object": Wrong('{"shots": [1]}', "config.shots", ("is [1]", "valid dictionary")),
    "another word": Wrong(
        '{"thumbnails": {"per": "film"}}', "config.thumbnails.per", ("'shot', 'interval' or 'none'",)
    ),
    "no list": Wrong('{"analyses": "audio"}', "config.analyses", ('is "audio"', "valid list")),
    "no such analysis": Wrong(
        '{"analyses": ["audio", "smell"]}', "config.analyses[1]", ('is "smell"', "'audio', 'motion'")
    ),
    "too many clips": Wrong('{"clips": {"count": 21}}', "config.clips.count", ("is 21", "equal to 20.")),
    "clips of a list": Wrong('{"clips": [{"start_seconds": 0, "end_seconds": 1}]}', "config.clips", ("dictionary",)),
    "clips that end first": Wrong(
        '{"clips": {"ranges": [{"start_seconds": 2, "end_seconds": 2}]}}',
        "config.clips.ranges[0]",
        ("}. end_seconds must be greater than start_seconds",),
        is_valid_by_schema=True,
    ),
    "clips before the beginning": Wrong(
        '{"clips": {"ranges": [{"start_seconds": -1, "end_seconds": 2}]}}',
        "config.clips.ranges[0].start_seconds",
        ("is -1", "equal to 0."),
    ),
    "too many ranges": Wrong(
        json.dumps({"clips": {"ranges": [{"start_seconds": 0, "end_seconds": 1}] * 51}}),
        "config.clips.ranges",
        ("50",),
    ),
    "no ranges": Wrong('{"clips": {"ranges": []}}', "config.clips.ranges", ("1",)),
    "too long together": Wrong(
        '{"clips": {"ranges": [{"start_seconds": 0, "end_seconds": 1800.5}]}}',
        "config.clips",
        ("1800 seconds together, not 1800.5",),
        is_valid_by_schema=True,
    ),
    "ranges and a choice": Wrong(
        '{"clips": {"count": 3, "ranges": [{"start_seconds": 0, "end_seconds": 1}]}}',
        "config.clips",
        ("}. ranges cannot be combined with count",),
        is_valid_by_schema=True,
    ),
    "an odd side": Wrong('{"render": {"long_side": 1919}}', "config.render.long_side", ("is 1919", "even")),
    "a large side": Wrong('{"render": {"long_side": 1e18}}', "config.render.long_side", ("equal to 3840.",)),
    "too many frames": Wrong(
        '{"render": {"frame_rate": 1e9}}', "config.render.frame_rate", ("is 1000000000", "from 1 to 120")
    ),
    "another codec": Wrong(
        '{"render": {"video_codec": "h264:crf=0"}}', "config.render.video_codec", ("'h264', 'hevc' or 'av1'",)
    ),
    "options of an encoder": Wrong('{"render": {"x264-params": "a=b"}}', "config.render.x264-params", ("unknown",)),
    "reframing that is not served": Wrong(
        '{"clips": {"reframe": "auto"}}', "config.clips.reframe", ("'center' or 'fit'",)
    ),
}


def post_form(front_end: FrontEnd, *parts: bytes, path: str = JOBS) -> Answer:
    body = form(*parts)
    return exchange(front_end.port, head(path, length=len(body)), body)


def post_json(front_end: FrontEnd, text: bytes) -> requests.Response:
    return front_end.post(JOBS, data=text, headers={"Content-Type": "application/json"})


def config_part(text: str | bytes) -> bytes:
    return part("config", text.encode() if isinstance(text, str) else text)
