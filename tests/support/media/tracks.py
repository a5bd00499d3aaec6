"""Files with several tracks, some silent, some encrypted, made by ffmpeg."""

from dataclasses import dataclass
from pathlib import Path

from tests.support.media.clips import ffmpeg

KEY = "76a6c65c5ea762046bd749a2e632ccbb"
KEY_ID = "a7e61c373e219033c21091fa607bf3b8"
_PICTURES = "testsrc2=size=320x180:rate=25:duration={seconds}"
_X264 = ("libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


@dataclass(frozen=True)
class Audio:
    """One audio track: a tone or silence, or a tone that begins late."""

    sound: str = "tone"  # tone, silence or late
    codec: str = "aac"
    is_default: bool = False


def with_audio(path: Path, *tracks: Audio, seconds: float = 3, video_seconds: float | None = None) -> Path:
    """A video with these audio tracks, in their order; it is as long as they are, or ``video_seconds``."""
    inputs = ["-f", "lavfi", "-i", _PICTURES.format(seconds=video_seconds or seconds)]
    coding = ["-map", "0", "-c:v", *_X264]
    graphs = {
        "tone": f"sine=frequency=440:sample_rate=48000:duration={seconds}",
        "silence": f"anullsrc=sample_rate=48000:channel_layout=mono:duration={seconds}",
        "late": f"aevalsrc='if(gt(t,{seconds * 0.8}),0.3*sin(2000*t),0)':s=48000:d={seconds}",
    }
    for number, track in enumerate(tracks):
        inputs += ["-f", "lavfi", "-i", graphs[track.sound]]
        coding += ["-map", str(number + 1), f"-c:a:{number}", track.codec]
        coding += [f"-disposition:a:{number}", "default" if track.is_default else "0"]
    ffmpeg(*inputs, *coding, "-strict", "-2", str(path))
    return path


def with_videos(path: Path, *colours: str, default: int | None = None, codecs: tuple[str, ...] = ()) -> Path:
    """A file with a video track of each colour; their codecs are H.264 unless given."""
    inputs, coding = [], []
    for number, colour in enumerate(colours):
        inputs += ["-f", "lavfi", "-i", f"color={colour}:size={160 + 16 * number}x90:rate=25:duration=1"]
        codec = codecs[number : number + 1] or ("libx264",)
        coding += ["-map", str(number), f"-c:v:{number}", *codec]
        coding += [f"-disposition:v:{number}", "default" if number == default else "0"]
    ffmpeg(*inputs, *coding, "-pix_fmt", "yuv420p", str(path))
    return path


def encrypted_mp4(path: Path, *options: str) -> Path:
    """Common Encryption of video and audio."""
    sources = ("-f", "lavfi", "-i", _PICTURES.format(seconds=1), "-f", "lavfi", "-i", "sine=duration=1")
    how = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", KEY, "-encryption_kid", KEY_ID)
    ffmpeg(*sources, "-c:v", *_X264, "-c:a", "aac", *how, *options, str(path))
    return path


def with_encrypted_audio(path: Path) -> Path:
    """A video in the clear, whose audio says that it is encrypted."""
    plain = with_audio(path.with_name("plain.mp4"), Audio("tone"))
    data = plain.read_bytes()
    at = data.index(b"stsd", data.index(b"smhd"))
    path.write_bytes(data[:at] + data[at:].replace(b"mp4a", b"enca", 1))
    return path


def encrypted_matroska(path: Path) -> Path:
    """Frames that are noise, in a track that says that they are encrypted: a name is replaced by that."""
    room = 60
    coding = ("-c:v", *_X264, "-bsf:v", "noise=amount=1", "-metadata:s:v", f"title={'x' * room}")
    ffmpeg("-f", "lavfi", "-i", _PICTURES.format(seconds=1), *coding, "-f", "matroska", str(path))
    name = _element("536e", b"x" * room)
    encryption = _element("5035", _element("47e1", b"\5") + _element("47e2", bytes.fromhex(KEY_ID)))
    encoding = _element("5031", b"\0") + _element("5032", b"\1") + _element("5033", b"\1") + encryption
    encodings = _element("6d80", _element("6240", encoding))
    filling = _element("ec", bytes(len(name) - len(encodings) - 2))
    data = path.read_bytes()
    assert data.count(name) == 1
    path.write_bytes(data.replace(name, encodings + filling))
    return path


def _element(identity: str, content: bytes) -> bytes:
    return bytes.fromhex(identity) + bytes([0x80 | len(content)]) + content
