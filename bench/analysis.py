"""The whole analysis of a video against decoding alone, and against a command that only finds cuts."""

import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from clipzy_worker.sandbox.process import MediaProcess, MediaRequest
from tests.support.media import clips

RUNS = 3
MAX_MEMORY_MIB = 1024
VIDEO_SECONDS = 120
FOOTAGE = Path(__file__).parents[1] / "tests/footage"


@dataclass(frozen=True)
class Cost:
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class Case:
    """A video, and the aims for it; without one for wall clock no other command is measured."""

    about: str
    name: str
    size: str
    rate: int
    coding: tuple[str, ...]
    max_cpu_ratio: float
    max_wall_ratio: float | None = None


CASES = (
    Case("1080p, a key frame every 2 s", "short.mp4", "1920:1080", 24, ("-g", "48"), 1.05, 0.8),
    Case("1080p, one key frame", "long.mp4", "1920:1080", 24, ("-g", "100000", "-sc_threshold", "0"), 1.25, 0.8),
    Case("320x180 at 60 frames a second", "fast.mp4", "320:180", 60, (), 2.5),
)


def compare(directory: Path) -> bool:
    """Measure and print; whether the aims were reached."""
    reached = [_compare(case, directory) for case in CASES]
    return all(reached) & _measure_memory(directory)


def _compare(case: Case, directory: Path) -> bool:
    video = _video(directory / case.name, case.size, seconds=VIDEO_SECONDS, rate=case.rate, coding=case.coding)
    ours, decode, cuts = [], [], []
    for _ in range(RUNS):  # in turns, so that other load on the machine affects all
        decode.append(
            _cost_of_command(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(video), *_NULL)
        )
        ours.append(_cost_of_analysis(video, directory / "out"))
        if case.max_wall_ratio:
            cuts.append(
                _cost_of_command(*_SCENEDETECT, "--input", str(video), "--output", str(directory), "detect-adaptive")
            )
    about = f"{video.stat().st_size >> 20} MiB, median of {RUNS}, {os.cpu_count()} cores"
    print(f"\n{VIDEO_SECONDS} s of H.264 with audio, {case.about} ({about}):")
    _print_cost("ffmpeg decode to null", decode)
    _print_cost("whole analysis", ours)
    cpu = _cpu(ours) / _cpu(decode)
    print(f"  CPU of the analysis to that of decoding     {cpu:.2f} (aim: at most {case.max_cpu_ratio:g})")
    if case.max_wall_ratio is None:
        return cpu <= case.max_cpu_ratio
    _print_cost("scenedetect detect-adaptive", cuts)
    wall = _wall(ours) / _wall(cuts)
    print(f"  wall of the analysis to that of scenedetect {wall:.2f} (aim: at most {case.max_wall_ratio:g})")
    return cpu <= case.max_cpu_ratio and wall <= case.max_wall_ratio


def _print_cost(name: str, costs: list[Cost]) -> None:
    print(f"  {name:28} CPU {_cpu(costs):6.1f} s   wall {_wall(costs):6.1f} s")


def _measure_memory(directory: Path) -> bool:
    peaks = []
    for seconds in (10, 40):
        video = _video(directory / f"4k-{seconds}.mp4", "3840:2160", seconds=seconds)
        peaks.append(_peak_mib(video, directory / "out"))
        print(f"  memory of the analysis of {seconds} s at 4K: {peaks[-1]:.0f} MiB (aim: under {MAX_MEMORY_MIB})")
    return max(peaks) < MAX_MEMORY_MIB


_NULL = ("-f", "null", "-")
_SCENEDETECT = (sys.executable, "-m", "scenedetect", "--quiet")


def _video(path: Path, size: str, *, seconds: int, rate: int = 24, coding: tuple[str, ...] = ()) -> Path:
    """Real videos, joined and scaled up, with synthetic music."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        listing = path.with_suffix(".txt")
        listing.write_text("".join(f"file '{clip}'\n" for clip in sorted(FOOTAGE.glob("*.mp4"))) * 5)
        tone = f"aevalsrc='0.3*sin(220*2*PI*t)*exp(-4*mod(t,0.5))+0.05*random(0)':duration={seconds}:s=48000"
        clips.ffmpeg(
            *("-f", "concat", "-safe", "0", "-i", str(listing), "-f", "lavfi", "-i", tone, "-t", str(seconds)),
            *("-vf", f"scale={size}:flags=lanczos,noise=alls=4:allf=t,setsar=1,fps={rate},format=yuv420p"),
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", "21", *coding, "-c:a", "aac", "-shortest", str(path)),
        )
    return path


def _request(video: Path, out_directory: Path) -> MediaRequest:
    out_directory.mkdir(exist_ok=True)
    return MediaRequest(video, "mp4", out_directory, decoder_threads=os.cpu_count() or 1)


def _cost_of_analysis(video: Path, out_directory: Path) -> Cost:
    with _Measured() as measured, MediaProcess(_request(video, out_directory)) as media:
        for _ in media.updates():
            pass
        media.result()
    return measured.cost


def _peak_mib(video: Path, out_directory: Path) -> float:
    peak_kib = 0
    with MediaProcess(_request(video, out_directory)) as media:
        for _ in media.updates(poll_seconds=0.05):
            status = Path(f"/proc/{media.pid}/status").read_text()
            peak_kib = max([peak_kib, *(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)])
        media.result()
    return peak_kib / 1024


def _cost_of_command(*command: str) -> Cost:
    with _Measured() as measured:
        subprocess.run(command, check=True, capture_output=True)
    return measured.cost


class _Measured:
    """The CPU time of the child processes that ended in the block, and the wall-clock time."""

    cost: Cost

    def __enter__(self) -> "_Measured":
        self._cpu, self._wall = _children_cpu(), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.cost = Cost(_children_cpu() - self._cpu, time.monotonic() - self._wall)


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cpu(costs: list[Cost]) -> float:
    return statistics.median(cost.cpu_seconds for cost in costs)


def _wall(costs: list[Cost]) -> float:
    return statistics.median(cost.wall_seconds for cost in costs)
