"""The whole analysis of a video against decoding alone, and against a command that only finds cuts."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from bench.costs import Cost, Measured, cost_of_command, cpu, print_cost, wall
from bench.footage_video import footage_video
from clipzy_worker.sandbox.process import MediaProcess, MediaRequest

RUNS = 3
MAX_MEMORY_MIB = 1024
VIDEO_SECONDS = 120


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
    video = footage_video(directory / case.name, case.size, seconds=VIDEO_SECONDS, rate=case.rate, coding=case.coding)
    ours, decode, cuts = [], [], []
    for _ in range(RUNS):  # in turns, so that other load on the machine affects all
        decode.append(
            cost_of_command(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-i", str(video), *_NULL)
        )
        ours.append(_cost_of_analysis(video, directory / "out"))
        if case.max_wall_ratio:
            cuts.append(
                cost_of_command(*_SCENEDETECT, "--input", str(video), "--output", str(directory), "detect-adaptive")
            )
    about = f"{video.stat().st_size >> 20} MiB, median of {RUNS}, {os.cpu_count()} cores"
    print(f"\n{VIDEO_SECONDS} s of H.264 with audio, {case.about} ({about}):")
    print_cost("ffmpeg decode to null", decode)
    print_cost("whole analysis", ours)
    cpu_ratio = cpu(ours) / cpu(decode)
    print(f"  CPU of the analysis to that of decoding     {cpu_ratio:.2f} (aim: at most {case.max_cpu_ratio:g})")
    if case.max_wall_ratio is None:
        return cpu_ratio <= case.max_cpu_ratio
    print_cost("scenedetect detect-adaptive", cuts)
    wall_ratio = wall(ours) / wall(cuts)
    print(f"  wall of the analysis to that of scenedetect {wall_ratio:.2f} (aim: at most {case.max_wall_ratio:g})")
    return cpu_ratio <= case.max_cpu_ratio and wall_ratio <= case.max_wall_ratio


def _measure_memory(directory: Path) -> bool:
    peaks = []
    for seconds in (10, 40):
        video = footage_video(directory / f"4k-{seconds}.mp4", "3840:2160", seconds=seconds)
        peaks.append(_peak_mib(video, directory / "out"))
        print(f"  memory of the analysis of {seconds} s at 4K: {peaks[-1]:.0f} MiB (aim: under {MAX_MEMORY_MIB})")
    return max(peaks) < MAX_MEMORY_MIB


_NULL = ("-f", "null", "-")
_SCENEDETECT = (sys.executable, "-m", "scenedetect", "--quiet")


def _request(video: Path, out_directory: Path) -> MediaRequest:
    out_directory.mkdir(exist_ok=True)
    return MediaRequest(video, "mp4", out_directory, decoder_threads=os.cpu_count() or 1)


def _cost_of_analysis(video: Path, out_directory: Path) -> Cost:
    with Measured() as measured, MediaProcess(_request(video, out_directory)) as media:
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
