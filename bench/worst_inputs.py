"""What the worst files known cost: CPU seconds and bytes of the result, for each byte that is uploaded.

``python -m bench.worst_inputs`` prints the table of docs/media-safety.md; names as arguments select some of its rows.
"""

import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.packet import Packet

from clipzy_storage.config.settings import Settings
from clipzy_storage.models.job_config import JobConfig, ShotOptions, ThumbnailOptions
from clipzy_worker.errors import PermanentFailure
from clipzy_worker.sandbox.process import MediaLimits, MediaProcess, MediaRequest
from tests.support.hostile.edit_lists import Edit, write_edits
from tests.support.media import clips

FOOTAGE = Path(__file__).parents[1] / "tests/footage/bunny.mp4"
MOST_IMAGES = JobConfig(thumbnails=ThumbnailOptions(per="interval", interval_seconds=0.5, width=1280))
MOST_SHOTS = JobConfig(shots=ShotOptions(sensitivity=1, min_seconds=0), thumbnails=MOST_IMAGES.thumbnails)

_ONE_GOP = ("-g", "1000000", "-bf", "0", "-pix_fmt", "yuv420p")
_SKIPPED = ("-c:v", "libx264", "-preset", "veryfast", "-tune", "stillimage", *_ONE_GOP)
_QUICK = ("-c:v", "libx264", "-preset", "ultrafast", *_ONE_GOP)


@dataclass(frozen=True)
class Case:
    make: Callable[[Path], object]
    config: JobConfig = field(default_factory=JobConfig)
    suffix: str = "mp4"


@dataclass(frozen=True)
class Cost:
    uploaded_bytes: int
    cpu_seconds: float
    stored_bytes: int
    outcome: str


def _encoded(source: str, *arguments: str) -> Callable[[Path], object]:
    return lambda path: clips.ffmpeg("-f", "lavfi", "-i", source, *arguments, str(path))


def _still_noise(size: str, *, crf: int, seconds: int) -> Callable[[Path], object]:
    """One frame of noise, which all later ones repeat."""
    noise = f"nullsrc=size={size}:rate=2,geq=lum='random(1)*255':cb=128:cr=128,trim=end_frame=1"
    repeated = f"{noise},loop=loop=-1:size=1,setpts=N/2/TB"
    return _encoded(repeated, "-t", str(seconds), *_SKIPPED, "-crf", str(crf))


def _shown_again(path: Path) -> None:
    """A VP9 frame of 1080p, and packets of one byte that each show it once more."""
    still = path.with_name("still.webm")
    clips.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=1920x1080", "-frames:v", "1", "-c:v", "libvpx-vp9", str(still))
    with av.open(str(still)) as source, av.open(str(path), "w", options={"cluster_time_limit": "30000"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        frame = next(packet for packet in source.demux(video=0) if packet.size)
        for number in range(24_000):
            packet = Packet(bytes(frame) if number == 0 else b"\x88")
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 1000), number == 0
            packet.pts = packet.dts = number * 1000 // 240
            target.mux(packet)


def _with_silence(layout: str, *, rate: int, seconds: int) -> Callable[[Path], object]:
    """One frame of video, and silence in blocks as long as FLAC allows."""
    return lambda path: clips.ffmpeg(
        *(
            "-f",
            "lavfi",
            "-i",
            "color=size=64x64:rate=1:duration=1",
            "-f",
            "lavfi",
            "-i",
            f"anullsrc=r={rate}:cl={layout}",
        ),
        *("-map", "0", "-map", "1", "-c:v", "mjpeg", "-c:a", "flac", "-frame_size", "65535", "-strict", "-2"),
        *("-t", str(seconds), str(path)),
    )


def _edited(path: Path) -> None:
    """As many segments as are read, each of which decodes all frames."""
    whole = path.with_name("whole.mp4")
    _encoded("color=gray:size=1280x720:rate=30:duration=30", *_SKIPPED)(whole)
    write_edits(whole, [Edit(3, 27)] * 9, to=path)


CASES = {
    "ordinary footage": Case(lambda path: path.write_bytes(FOOTAGE.read_bytes())),
    "skipped frames of 1080p, H.264": Case(_encoded("color=gray:size=1920x1080:rate=240:duration=20", *_SKIPPED)),
    "skipped frames of 1080p, HEVC": Case(
        _encoded(
            "color=gray:size=1920x1080:rate=240:duration=10",
            *("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "keyint=-1:bframes=0:log-level=none"),
        )
    ),
    "a frame of 1080p shown again, VP9": Case(_shown_again, suffix="webm"),
    "skipped frames of 8192x4320": Case(_encoded("color=gray:size=8192x4320:rate=30:duration=3", *_SKIPPED)),
    "frames of 16x16, 240 a second": Case(_encoded("testsrc2=size=16x16:rate=240:duration=60", *_QUICK)),
    "an edit list that repeats all frames": Case(_edited),
    "silence in FLAC, stereo, 48 kHz": Case(_with_silence("stereo", rate=48_000, seconds=1800), suffix="mkv"),
    "silence in FLAC, 7.1, 384 kHz": Case(_with_silence("7.1", rate=384_000, seconds=60), suffix="mkv"),
    "images of noise": Case(_still_noise("1280x720", crf=35, seconds=250), MOST_IMAGES),
    "high images of noise": Case(_still_noise("1280x8192", crf=40, seconds=100), MOST_IMAGES),
    "a shot for each frame": Case(
        _encoded("testsrc2=size=64x36:rate=60:duration=60,hue=h='mod(n,2)*180'", *_QUICK), MOST_SHOTS
    ),
}


def measure(case: Case, directory: Path) -> Cost:
    path, out = directory / f"video.{case.suffix}", directory / "out"
    out.mkdir()
    case.make(path)
    uploaded_bytes, settings = path.stat().st_size, Settings()
    limits = MediaLimits(
        output_bytes=settings.max_result_bytes(source_size_bytes=uploaded_bytes),
        max_decoded_pixels=settings.max_decoded_pixels,
    )
    request, outcome = MediaRequest(path, case.suffix, out, config=case.config, limits=limits), "completed"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with MediaProcess(request) as media:
        for _ in media.updates():
            pass
        try:
            index_bytes = len(media.result().model_dump_json())
        except PermanentFailure as error:
            index_bytes, outcome = 0, error.code.value
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    written_bytes = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    stored_bytes = index_bytes + written_bytes if outcome == "completed" else 0
    return Cost(uploaded_bytes, cpu_seconds, stored_bytes, outcome)


def main(names: list[str]) -> None:
    print("| input | uploaded | CPU | CPU per MB uploaded | stored per byte uploaded | outcome |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name, case in CASES.items():
        if names and name not in names:
            continue
        with tempfile.TemporaryDirectory(prefix="clipzy-worst-") as directory:
            cost = measure(case, Path(directory))
        print(
            f"| {name} | {cost.uploaded_bytes / 1e3:,.0f} kB | {cost.cpu_seconds:.1f} s"
            f" | {cost.cpu_seconds / cost.uploaded_bytes * 1e6:,.1f} s"
            f" | {cost.stored_bytes / cost.uploaded_bytes:,.1f} | {cost.outcome} |",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
