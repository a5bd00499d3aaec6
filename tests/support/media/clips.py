"""Small clips made by ffmpeg, with what is true of them. Each is made once for a directory and found there again."""

import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

RATE = 25
SIZE = (320, 180)
# One thread each: those of libvpx wait for each other without rest, which costs most where all cores are taken.
QUICK_VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-threads", "1")
QUICK_VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-threads", "1")

_SCENES = (
    "testsrc2=size={size}:rate={rate}",
    "mandelbrot=size={size}:rate={rate}:start_scale=0.5,hue=h=90",
    "smptehdbars=size={size}:rate={rate}",
    "gradients=size={size}:rate={rate}:seed=7:c0=navy:c1=yellow:c2=teal:nb_colors=3:speed=0.02",
    "testsrc=size={size}:rate={rate},negate",
)
# A still of much detail, larger than the frame, for cameras that move over it.
_LANDSCAPE = f"mandelbrot=size=1600x900:rate={RATE}:start_scale=0.3,trim=end_frame=1,loop=loop=-1:size=1"


@dataclass(frozen=True)
class Clip:
    """A file and the truth about it; ``boundaries`` are times and kinds of all shots but the first."""

    path: Path
    duration_seconds: float
    boundaries: tuple[tuple[float, str], ...] = ()
    width: int = SIZE[0]
    height: int = SIZE[1]
    frame_rate: float = float(RATE)


def ffmpeg(*arguments: str) -> None:
    """Run the packaged ffmpeg; raises ``CalledProcessError`` with its complaint as ``stderr``."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, check=True, capture_output=True, text=True)


def raw_picture(graph: str, *, width: int, height: int) -> bytes:
    """The first frame of a filter graph as it is drawn: blue, green, red, 8 bits each."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-f", "lavfi", "-i", graph]
    command += ["-frames:v", "1", "-vf", f"scale={width}:{height}", "-pix_fmt", "bgr24", "-f", "rawvideo", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def cuts_clip(
    directory: Path,
    *,
    shot_frames: tuple[int, ...] = (30, 45, 25),
    suffix: str = "mp4",
    rate: str = str(RATE),
    sound: bool = True,
    codec: str = "libx264",
) -> Clip:
    """Shots of so many frames each, hard cuts between them; a tone of its own for each second with ``sound``."""
    frames = sum(shot_frames)
    numerator, _, denominator = rate.partition("/")
    frame_rate = int(numerator) / int(denominator or 1)
    graph = ";".join(f"{_scene(i, rate)},trim=end_frame={n}[v{i}]" for i, n in enumerate(shot_frames))
    graph += ";" + "".join(f"[v{i}]" for i in range(len(shot_frames))) + f"concat=n={len(shot_frames)}"
    tone = ["-f", "lavfi", "-i", f"sine=frequency=440:duration={frames / frame_rate}"] if sound else []
    tone_codec = ["-c:a", "libopus" if suffix == "webm" else "aac"] if sound else []
    name = (
        f"cuts-{'-'.join(map(str, shot_frames))}-{rate.replace('/', '_')}-{codec}{'-sound' if sound else ''}.{suffix}"
    )
    path = _made(directory / name, *tone, "-filter_complex", graph, *_coded(codec), *tone_codec)
    starts = [sum(shot_frames[:i]) / frame_rate for i in range(1, len(shot_frames))]
    return Clip(path, frames / frame_rate, tuple((start, "cut") for start in starts), frame_rate=frame_rate)


def fade_clip(directory: Path, *, colour: str = "black", ramp_seconds: float = 0.6, hold_seconds: float = 0.2) -> Clip:
    """Two scenes of 2 s; the first fades out to ``colour``, the second fades in from it."""
    out = f"{_scene(0)},trim=duration=2,fade=out:st={2 - ramp_seconds}:d={ramp_seconds}:color={colour}[a]"
    hold = f"color={colour}:size={_size()}:rate={RATE},trim=duration={hold_seconds}[h]"
    back = f"{_scene(1)},trim=duration=2,fade=in:st=0:d={ramp_seconds}:color={colour}[b]"
    path = _video(
        directory / f"fade-{colour}-{ramp_seconds}-{hold_seconds}.mp4", f"{out};{hold};{back};[a][h][b]concat=n=3"
    )
    return Clip(path, 4 + hold_seconds, ((2 + hold_seconds / 2, "fade"),))


def fade_to_cut_clip(directory: Path) -> Clip:
    """The first scene is cut off to black for 0.4 s, from which the second fades in."""
    graph = (
        f"{_scene(0)},trim=duration=2[a];color=black:size={_size()}:rate={RATE},trim=duration=0.4[h];"
        f"{_scene(1)},trim=duration=2,fade=in:st=0:d=0.6[b];[a][h][b]concat=n=3"
    )
    return Clip(_video(directory / "cut-to-black.mp4", graph), 4.4, ((2.2, "fade"),))


def faded_ends_clip(directory: Path) -> Clip:
    """One scene that begins and ends in black: a single shot."""
    graph = f"{_scene(0)},trim=duration=4,fade=in:st=0.4:d=0.6,fade=out:st=3:d=0.6"
    return Clip(_video(directory / "faded-ends.mp4", graph), 4.0)


def dissolve_clip(directory: Path, *, duration_seconds: float = 1.0) -> Clip:
    """Two moving scenes, mixed from 2 s on."""
    length = 2 + duration_seconds
    graph = (
        f"{_scene(0)},trim=duration={length}[a];{_scene(1)},trim=duration={length + 1}[b];"
        f"[a][b]xfade=transition=fade:duration={duration_seconds}:offset=2"
    )
    path = _video(directory / f"dissolve-{duration_seconds}.mp4", graph)
    return Clip(path, 3 + length, ((2 + duration_seconds / 2, "dissolve"),))


def flash_clip(directory: Path, *, frames: int = 2) -> Clip:
    """One scene with a white flash of so many frames: a single shot."""
    white = f"drawbox=color=white:t=fill:enable='between(n,40,{39 + frames})'"
    return Clip(_video(directory / f"flash-{frames}.mp4", f"{_scene(1)},trim=duration=3,{white}"), 3.0)


def pan_clip(directory: Path) -> Clip:
    """A quick pan over a detailed frame: a single shot."""
    graph = f"{_LANDSCAPE},trim=duration=4,crop={_crop()}:x='min(12*n,1270)':y=300"
    return Clip(_video(directory / "pan.mp4", graph), 4.0)


def shake_clip(directory: Path) -> Clip:
    """A camera shaken by hand: a single shot."""
    graph = f"{_LANDSCAPE},trim=duration=4,crop={_crop()}:x='600+25*sin(n*1.7)':y='350+20*sin(n*2.3)'"
    return Clip(_video(directory / "shake.mp4", graph), 4.0)


def zoom_clip(directory: Path) -> Clip:
    """A zoom that leads far into a fractal: a single shot."""
    graph = f"mandelbrot=size={_size()}:rate={RATE}:start_scale=2:end_scale=0.01:end_pts=150,trim=duration=6"
    return Clip(_video(directory / "zoom.mp4", graph), 6.0)


def title_clip(directory: Path) -> Clip:
    """A large title that appears softly over a scene: a single shot."""
    graph = (
        f"gradients=size={_size()}:rate={RATE}:seed=7:c0=black:c1=navy:nb_colors=2:speed=0.001,trim=duration=4[a];"
        f"color=white:size=200x72:rate={RATE},trim=duration=4,format=yuva420p,"
        "fade=in:st=1.5:d=0.8:alpha=1[t];[a][t]overlay=x=60:y=54"
    )
    return Clip(_video(directory / "title.mp4", graph), 4.0)


def vfr_clip(directory: Path) -> Clip:
    """75 frames whose steps are 1/25 s at first and 3/25 s later; the cut is at frame 45."""
    graph = f"{_scene(0)},trim=end_frame=45[a];{_scene(1)},trim=end_frame=30[b];[a][b]concat=n=2"
    slow = "settb=1/12800,setpts='if(lt(N,25),N,25+(N-25)*3)*512'"
    path = _made(directory / "vfr.mp4", "-filter_complex", f"{graph},{slow}", "-fps_mode", "vfr", *_coded("libx264"))
    duration = (25 + 49 * 3 + 1) / RATE
    return Clip(path, duration, (((25 + 20 * 3) / RATE, "cut"),), frame_rate=75 / duration)


def rotated_clip(directory: Path, *, degrees: int = 90) -> Clip:
    """Stored lying, shown standing; what is shown at its top is red."""
    side = {90: "x=0:y=0:w=8:h=ih", -90: "x=iw-8:y=0:w=8:h=ih"}[-degrees]
    box = f"color=blue:size={_size()}:rate={RATE},trim=duration=1,drawbox={side}:color=red:t=fill"
    lying = _video(directory / f"lying-{degrees}.mp4", box)
    path = _made(
        directory / f"rotated-{degrees}.mp4", "-display_rotation", str(degrees), "-i", str(lying), "-c", "copy"
    )
    return Clip(path, 1.0, width=SIZE[1], height=SIZE[0])


def wide_pixels_clip(directory: Path) -> Clip:
    """Pixels twice as wide as they are high."""
    return Clip(_video(directory / "anamorphic.mp4", f"{_scene(0)},trim=duration=1,setsar=2"), 1.0, width=2 * SIZE[0])


def one_frame_clip(directory: Path) -> Clip:
    return Clip(_video(directory / "one-frame.mp4", f"{_scene(0)},trim=end_frame=1"), 1 / RATE)


def audio_only_clip(directory: Path) -> Clip:
    return Clip(_made(directory / "audio-only.mp4", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac"), 1.0)


def truncated_clip(directory: Path) -> Clip:
    """A Matroska file that breaks off after 60 of 100 bytes; its header still promises 4 s."""
    whole = cuts_clip(directory, shot_frames=(50, 50), suffix="mkv", sound=False)
    path = directory / "truncated.mkv"
    if not path.exists():
        data = whole.path.read_bytes()
        unfinished = _unfinished(path)
        unfinished.write_bytes(data[: len(data) * 6 // 10])
        unfinished.rename(path)
    return Clip(path, whole.duration_seconds)


def endless_clip(directory: Path) -> Clip:
    """A Matroska file as a stream writes it: no duration, no index."""
    whole = cuts_clip(directory, suffix="mkv", sound=False)
    path = _made(directory / "stream.mkv", "-i", str(whole.path), "-c", "copy", "-live", "1", "-f", "matroska")
    return Clip(path, whole.duration_seconds, whole.boundaries)


def long_clip(directory: Path, *, seconds: int = 20) -> Clip:
    """Long enough to be stopped in the middle: large frames, cheap to make."""
    graph = f"testsrc2=size=1280x720:rate={RATE},trim=duration={seconds}"
    return Clip(_video(directory / f"long-{seconds}.mp4", graph), float(seconds), width=1280, height=720)


def _scene(index: int, rate: str = str(RATE)) -> str:
    return _SCENES[index % len(_SCENES)].format(size=_size(), rate=rate) + ",format=yuv420p,setsar=1"


def _size() -> str:
    return f"{SIZE[0]}x{SIZE[1]}"


def _crop() -> str:
    return f"{SIZE[0]}:{SIZE[1]}"


def _coded(codec: str) -> list[str]:
    quick = {"libx264": ("-c:v", codec, "-preset", "ultrafast", "-crf", "18"), "libvpx-vp9": QUICK_VP9}
    return [*quick.get(codec, ("-c:v", codec)), "-pix_fmt", "yuv420p"]


def _video(path: Path, graph: str) -> Path:
    return _made(path, "-filter_complex", graph, *_coded("libx264"))


def _made(path: Path, *arguments: str) -> Path:
    """``path``, made by ffmpeg unless it is there; two who come at the same time both make it, and one stays."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = _unfinished(path)
        ffmpeg(*arguments, str(unfinished))
        unfinished.rename(path)
    return path


def _unfinished(path: Path) -> Path:
    return path.with_name(f".{threading.get_native_id()}-{path.name}")
