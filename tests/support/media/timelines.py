"""Files whose clock is not simple, each made by a command of ffmpeg: kinds of strangers' files that were wrong."""

from pathlib import Path

from tests.support.media.clips import QUICK_VP8, ffmpeg

VP8, H264 = (*QUICK_VP8, "-b:v", "400k"), ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
CLICKS = "sine=frequency=220:duration={seconds},volume='if(lt(mod(t,0.5),0.05),1,0.05)':eval=frame"
AAC = ("-c:a", "aac", "-aac_coder", "fast")
CODECS = {
    "mp4": (*H264, *AAC),
    "mov": (*H264, "-c:a", "pcm_s16le"),
    "mkv": (*H264, *AAC),
    "avi": (*H264, "-c:a", "pcm_s16le"),
    "webm": (*VP8, "-c:a", "libopus"),
}
_DEFAULT_DURATION = b"\x23\xe3\x83\x84"  # of Matroska, of four bytes
_VOID = b"\xec\x86" + bytes(6)


def pictures_and_clicks(path: Path, *, pictures: str, sound_seconds: float) -> Path:
    """The pictures that a filter graph draws, from the beginning of clicks at 120 beats per minute."""
    clicks = f"{CLICKS.format(seconds=sound_seconds)},aformat=sample_rates=48000:channel_layouts=stereo"
    sources = ("-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", clicks)
    ffmpeg(*sources, "-map", "0", "-map", "1", *CODECS[path.suffix[1:]], str(path))
    return path


def late_pictures(path: Path, *, seconds: float, sound: bool = True) -> Path:
    """Four seconds of pictures that begin so late; with ``sound``, it begins at 0 and lasts as long."""
    late = f"[0]setpts=PTS+{seconds}/TB[v]"
    sources = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4"]
    sources += ["-f", "lavfi", "-i", f"sine=1000:duration={4 + seconds}:sample_rate=48000"] if sound else []
    maps = ["-map", "[v]", *(["-map", "1"] if sound else [])]
    ffmpeg(*sources, "-filter_complex", late, *maps, "-fps_mode", "passthrough", *CODECS[path.suffix[1:]], str(path))
    return path


def without_frame_durations(path: Path, *, tick_rate: int, rate: int = 30) -> Path:
    """Three seconds of H.264 in Matroska that says nowhere how long a frame lasts, and counts time in fine ticks."""
    ticks = f"h264_metadata=tick_rate={tick_rate}:fixed_frame_rate_flag=0"
    pictures = f"testsrc2=size=320x180:rate={rate}:duration=3"
    ffmpeg("-f", "lavfi", "-i", pictures, *H264, "-bf", "0", "-bsf:v", ticks, str(path))
    data = path.read_bytes()
    at = data.index(_DEFAULT_DURATION)
    path.write_bytes(data[:at] + _VOID + data[at + len(_VOID) :])
    return path


def quick_pictures(path: Path, *, rate: str, seconds: float) -> Path:
    ffmpeg("-f", "lavfi", "-i", f"color=gray:size=32x32:rate={rate}:duration={seconds}", *H264, str(path))
    return path


def numbered_pictures(path: Path, *coding: str, sound: bool = False) -> Path:
    """58 pictures at 30 per second in AVI, which only numbers its packets; white for the last 28."""
    graph = "testsrc2=size=320x180:rate=30,drawbox=color=white:t=fill:enable='gte(n,30)'"
    tone = ("-f", "lavfi", "-i", "sine=sample_rate=44100", "-t", "1.93334") if sound else ()
    ffmpeg("-f", "lavfi", "-i", graph, *tone, "-frames:v", "58", *coding, "-pix_fmt", "yuv420p", str(path))
    return path


def burst_at_the_start(path: Path, *, frames: int) -> Path:
    """WebRTC: the first pictures were waiting and come within milliseconds; 4 s at 30 per second."""
    times = f"setpts='if(lt(N,{frames}),N*0.001,0.033*N)/TB'"
    graph = f"testsrc2=size=320x180:rate=30:duration=4,{times}"
    ffmpeg("-f", "lavfi", "-i", graph, "-fps_mode", "passthrough", "-enc_time_base", "1:1000", *VP8, str(path))
    return path


def slides(path: Path) -> Path:
    """A dark page for 28 s, of two pictures, and a bright one for 2 s, of fifty."""
    dark = "smptebars=s=640x360:r=25:d=0.08,lutyuv=y='val*0.45'"
    bright = "testsrc=s=640x360:r=25:d=2,lutyuv=y='120+val*0.4'"
    times = "setpts='if(eq(N,0),0,if(eq(N,1),40,28000+(N-2)*40))'"
    ffmpeg(
        *("-f", "lavfi", "-i", dark, "-f", "lavfi", "-i", bright),
        *("-filter_complex", f"[0][1]concat=n=2,settb=1/1000,{times}"),
        *("-fps_mode", "passthrough", "-enc_time_base", "1:1000", "-crf", "20", *H264, str(path)),
    )
    return path


def some_pictures(path: Path, take: Path, *, share: float) -> Path:
    """A take of which so many pictures are left, chosen at random, each at its time."""
    chosen = f"select='lt(random(1),{share})+eq(n,0)'"
    ffmpeg("-i", str(take), "-an", "-vf", chosen, "-fps_mode", "passthrough", "-crf", "12", *H264, str(path))
    return path


def at_constant_rate(path: Path, film: Path, *, rate: int) -> Path:
    ffmpeg("-i", str(film), "-vf", f"fps={rate}", "-crf", "12", *H264, str(path))
    return path
