"""Rendering against the ffmpeg program with the same encoder and settings: all of a video, and a clip of it."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from bench.costs import Cost, cost_of_command, cpu, print_cost, wall
from bench.footage_video import footage_video

RUNS = 3
VIDEO_SECONDS, RATE = 120, 24
THREADS = str(os.cpu_count() or 1)
# Those of the quality `standard`.
_ENCODED = (
    *("-c:v", "libx264", "-preset", "veryfast", "-crf", "21", "-profile:v", "high", "-g", str(2 * RATE)),
    *("-keyint_min", "1", "-flags", "+cgop", "-threads", THREADS),
    *("-c:a", "aac", "-b:a", "160k", "-ar", "48000", "-ac", "2", "-movflags", "+faststart"),
)


@dataclass(frozen=True)
class Case:
    about: str
    start_seconds: float
    end_seconds: float
    max_ratio: float
    """Of CPU and of wall clock."""


CASES = (Case("all of it", 0, VIDEO_SECONDS, 1.05), Case("a clip of 20 s from its middle", 50.5, 70.5, 1.5))


def compare(directory: Path) -> bool:
    """Measure and print; whether the aims were reached."""
    video = footage_video(directory / "render.mp4", "1920:1080", seconds=VIDEO_SECONDS, rate=RATE, coding=("-g", "96"))
    reached = [_compare(case, video, directory) for case in CASES]
    return all(reached)


def _compare(case: Case, video: Path, directory: Path) -> bool:
    ours, bare = [], []
    for _ in range(RUNS):  # in turns, so that other load on the machine affects both
        bare.append(_cost_of_ffmpeg(case, video, directory / "bare.mp4"))
        ours.append(_cost_of_rendering(case, video, directory))
    about = f"median of {RUNS}, {os.cpu_count()} cores"
    print(f"\n{VIDEO_SECONDS} s of 1080p, {case.about}, rendered in standard quality ({about}):")
    print_cost("ffmpeg", bare)
    print_cost("a clip with its poster", ours)
    ratios = cpu(ours) / cpu(bare), wall(ours) / wall(bare)
    print(f"  ours to ffmpeg's: CPU {ratios[0]:.2f}, wall {ratios[1]:.2f} (aim: at most {case.max_ratio:g})")
    return max(ratios) <= case.max_ratio


def _cost_of_ffmpeg(case: Case, video: Path, to: Path) -> Cost:
    section = ("-ss", str(case.start_seconds), "-t", str(case.end_seconds - case.start_seconds))
    command = (imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y")
    return cost_of_command(*command, *section, "-i", str(video), *_ENCODED, str(to))


def _cost_of_rendering(case: Case, video: Path, directory: Path) -> Cost:
    section = str(case.start_seconds), str(case.end_seconds)
    return cost_of_command(sys.executable, "-m", "bench.render_alone", str(video), str(directory), *section, THREADS)
