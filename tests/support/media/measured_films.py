"""The measurements by which moments are chosen, of a file, and the clips that are chosen by them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from clipzy_storage.models.clip_options import ClipOptions, Profile
from clipzy_storage.models.clips import PartName
from clipzy_storage.models.job_config import JobConfig, ThumbnailOptions
from clipzy_worker.analysers.moments.candidates import area_of, candidates
from clipzy_worker.analysers.moments.cells import Numbers
from clipzy_worker.analysers.moments.choice import diverse_windows
from clipzy_worker.analysers.moments.measured import Measured
from clipzy_worker.analysers.moments.parts import part_values
from clipzy_worker.analysers.moments.score import scores
from clipzy_worker.analysers.moments.windows import Windows
from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.analysis.chosen_sections import chosen_sections, measured_for_choice
from clipzy_worker.analysis.demux import DemuxPass
from clipzy_worker.analysis.sections import Section
from clipzy_worker.analysis.timings import StageTimer
from clipzy_worker.analysis.video_pass import VideoPass
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.decode.source import open_source
from clipzy_worker.sandbox.request import MediaRequest

CONFIG = JobConfig(
    analyses=["audio", "motion"], thumbnails=ThumbnailOptions(per="none"), sprites=False, clips=ClipOptions()
)


@dataclass(frozen=True)
class ChosenClip:
    """Seconds and score of one clip, and why."""

    start_seconds: float
    end_seconds: float
    section: Section

    @property
    def score(self) -> float:
        assert self.section.choice is not None
        return self.section.choice.score


@dataclass(frozen=True)
class MeasuredFilm:
    """One pass over a file, from which clips can be chosen by any options."""

    measured: Measured
    frames: FrameIndex

    def sections(self, options: ClipOptions) -> tuple[list[Section], list[str]]:
        return chosen_sections(options, self.measured, self.frames)

    def clips(self, options: ClipOptions) -> list[ChosenClip]:
        """By time."""
        return [
            ChosenClip(self.frames.seconds_of(one.frames.start), self.frames.seconds_of(one.frames.stop), one)
            for one in self.sections(options)[0]
        ]

    def scores(self, spans: Sequence[tuple[float, float]], profile: Profile = "action") -> list[float]:
        """Of any sections, whatever their edges."""
        starts, ends = (np.array(times, np.float64) for times in zip(*spans, strict=True))
        each = np.arange(len(spans))
        windows = Windows(starts, ends, each, each)
        totals = scores(profile, part_values(self.measured, windows), np.ones(len(spans))).totals
        return [float(total) for total in totals]

    def by_one_part(self, options: ClipOptions) -> dict[PartName, list[tuple[float, float]]]:
        """The clips, if only one part counted, for each part."""
        windows = self._windows(options)
        values = part_values(self.measured, windows)
        return {name: _spans(windows, self._diverse(windows, 100 * one, options)) for name, one in values.items()}

    def at_random(self, options: ClipOptions, draws: int) -> Iterator[list[tuple[float, float]]]:
        """Windows that do not overlap; each such choice is as likely as any other."""
        windows, dice = self._windows(options), np.random.default_rng(7)
        spans = list(zip(windows.start_seconds.tolist(), windows.end_seconds.tolist(), strict=True))
        while draws:
            chosen = [spans[number] for number in dice.integers(len(spans), size=options.count)]
            if all(overlap(one, other) == 0 for one, other in combinations(chosen, 2)):
                draws -= 1
                yield chosen

    def _windows(self, options: ClipOptions) -> Windows:
        area = area_of(options, self.frames)
        assert area is not None
        return candidates(options, self.measured, self.frames, area).windows

    def _diverse(self, windows: Windows, totals: Numbers, options: ClipOptions) -> list[int]:
        found = diverse_windows(
            self.measured, windows, totals, count=options.count, total_seconds=1e9, diversity=options.diversity
        )
        return found.windows


def _spans(windows: Windows, chosen: Sequence[int]) -> list[tuple[float, float]]:
    return [(float(windows.start_seconds[one]), float(windows.end_seconds[one])) for one in chosen]


def measured_film(path: Path, out_directory: Path, *, config: JobConfig = CONFIG) -> MeasuredFilm:
    """What the passes over the file know after their ends."""
    request, timer = MediaRequest(path, path.suffix[1:], out_directory, config), StageTimer()
    with open_source(request, decoded=DecodedPixels(request.limits.max_decoded_pixels)) as source:
        audio = None
        if source.audio is not None and "audio" in config.analyses:
            audio = AudioPass(source.audio, origin=source.start, timer=timer, request=request)
        demux = DemuxPass(source, limits=request.limits, audio=audio, timer=timer)
        frames, video, end_seconds = FrameIndex(), None, 0.0
        for frame in demux:
            video = video or VideoPass(source, frame, request, timer)
            video.process(frame)
            frames.add(float(frame.seconds))
            end_seconds = float(frame.until_seconds)
        assert video is not None
        frames.finish(zero=demux.zero, end_seconds=end_seconds)
        video.finish_shots(float(demux.end_seconds))
        if audio is not None:
            audio.finish(float(demux.end_seconds))
        video.finish(float(demux.end_seconds), zero=demux.zero)
        measured = measured_for_choice(video, audio, video.shots(), end_seconds=float(demux.end_seconds))
        assert measured is not None
        return MeasuredFilm(measured, frames)


def overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Intersection over union of two sections."""
    common = min(one[1], other[1]) - max(one[0], other[0])
    return max(common, 0.0) / (max(one[1], other[1]) - min(one[0], other[0])) if common > 0 else 0.0


def best_overlaps(truths: Sequence[tuple[float, float]], found: Sequence[tuple[float, float]]) -> list[float]:
    """For each truth that of what is most like it, 0 without any."""
    return [max((overlap(truth, one) for one in found), default=0.0) for truth in truths]
