"""Feeds every frame of the video to the frame analysers, and collects their results."""

import time
from fractions import Fraction
from functools import partial
from itertools import repeat

import numpy as np
from av.video.frame import VideoFrame

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_storage.models.measurements import Color, Motion
from clipzy_storage.models.output import Shot, VideoFacts
from clipzy_worker.analysers.base import Frame
from clipzy_worker.analysers.enough_frames import EnoughFrames
from clipzy_worker.analysers.frame_rate import FrameRateEstimator
from clipzy_worker.analysers.moments.measured import MeasuredMotion
from clipzy_worker.analysers.moments.pictures import ShownPictures
from clipzy_worker.analysis.artifacts import write_curves, write_images
from clipzy_worker.analysis.demux import DisplayedFrame
from clipzy_worker.analysis.frame_analysers import FrameAnalysers
from clipzy_worker.analysis.shown_sizes import FIRST_RESTART_SECONDS, MostlyAnotherSize, ShownSizes
from clipzy_worker.analysis.timings import StageTimer
from clipzy_worker.decode.geometry import Geometry
from clipzy_worker.decode.scaling import ANALYSED_PIXELS, FrameScaler, GeometryReader
from clipzy_worker.decode.source import Source
from clipzy_worker.decode.source_timecode import source_timecode
from clipzy_worker.sandbox.request import MediaRequest

_DECIMALS = 6
# Larger frames take long to decode, so that little is gained if some of them are not examined, and much memory.
_MAX_PIXELS_OF_WAITING_FRAMES = 2048 * 1152


class VideoPass:
    """The pass over one video: ``process`` each frame, then ``finish_shots`` and ``finish``, then read the results.

    All frames are analysed at one displayed size: that of the first, or the one which ``instead_of`` found to be
    displayed for longer in a pass that was given up. Frames of another shape are fitted into it.
    """

    def __init__(
        self,
        source: Source,
        first: DisplayedFrame,
        request: MediaRequest,
        timer: StageTimer,
        *,
        instead_of: MostlyAnotherSize | None = None,
    ) -> None:
        self.artifacts: list[ArtifactFile] = []
        self._source, self._request, self._timer = source, request, timer
        self._scaler = FrameScaler()
        self._frame_rate = FrameRateEstimator()
        self._first_frame_seconds = first.seconds
        self._geometries = GeometryReader(source.pixel_aspect)
        self._geometry = instead_of.geometry if instead_of else self._geometries.of(first.decoded)
        restart_seconds = instead_of.next_restart_seconds if instead_of else FIRST_RESTART_SECONDS
        self.sizes = ShownSizes(self._geometry, restart_seconds=restart_seconds)
        self._analysers = FrameAnalysers(request.config, self._geometry, request.out_directory)
        self._enough_frames = EnoughFrames()
        self._of_changes, self._of_moments = self._analysers.of_changes(), self._analysers.of_moments()
        self._size = self._geometry.reduced(ANALYSED_PIXELS)

    def process(self, displayed: DisplayedFrame) -> None:
        """Raises ``MostlyAnotherSize`` if the pass should begin anew, at another size."""
        geometry = self._geometries.of(displayed.decoded)
        begin, end = float(displayed.seconds), float(displayed.until_seconds)
        self.sizes.add(geometry, begin, end)
        frame = self._frame(displayed.decoded, geometry, begin, end)
        self._frame_rate.add(displayed.seconds)
        now = time.perf_counter()
        is_large = displayed.decoded.width * displayed.decoded.height > _MAX_PIXELS_OF_WAITING_FRAMES
        chosen = self._enough_frames.process(frame, may_wait=not is_large)
        now = self._timer.lap("scale", now)
        for one in chosen:
            now = self._examine(one, now)
        for name, analyser in self._of_moments.items():
            analyser.process(frame)
            now = self._timer.lap(name, now)

    def _examine(self, frame: Frame, now: float) -> float:
        """Returns the time after it."""
        frame.scale()
        now = self._timer.lap("scale", now)
        for name, analyser in self._of_changes.items():
            analyser.process(frame)
            now = self._timer.lap(name, now)
        return now

    def finish_shots(self, end_seconds: float) -> None:
        for frame in self._enough_frames.finish():
            self._examine(frame, time.perf_counter())
        with self._timer.charged("shots"):
            self._analysers.shots.finish(end_seconds)

    def finish(self, end_seconds: float, *, zero: Fraction) -> None:
        """``zero`` is time 0 on the container's clock. Raises ``OSError`` if a file cannot be written."""
        for name, analyser in (self._of_changes | self._of_moments).items():
            if analyser is not self._analysers.shots:
                with self._timer.charged(name):
                    analyser.finish(end_seconds)
        with self._timer.charged("stills"):
            self.artifacts = write_images(self._analysers, self._request, self._source.decoded, zero=zero)
            self.artifacts += write_curves(self._analysers, self._request)

    def facts(self, video_end_seconds: Fraction, end_seconds: Fraction) -> VideoFacts:
        """The video ends at the first of these times, and the presentation at the second."""
        width, height = self._geometry.shown_size
        rate = self._frame_rate.frame_rate(declared=self._source.declared_rate, end_seconds=video_end_seconds)
        return VideoFacts(
            duration_seconds=round(float(end_seconds), _DECIMALS),
            first_frame_seconds=round(float(self._first_frame_seconds), _DECIMALS),
            width=width,
            height=height,
            frame_rate=round(rate, _DECIMALS),
            video_codec=self._source.video_codec,
            audio_codec=self._source.audio_codec,
            timecode=source_timecode(self._source, frames_per_second=rate),
        )

    def shots(self) -> list[Shot]:
        """Every shot with its motion and color, as far as these were requested."""
        settled, motions, colors = self._analysers.shots.settled, self._analysers.motions, self._analysers.colors
        parts = zip(
            settled,
            motions.of_shots if motions else repeat(None, len(settled)),
            colors.of_shots if colors else repeat(None, len(settled)),
            strict=True,
        )
        return [
            Shot(
                index=shot.index,
                start_seconds=round(shot.start_seconds, _DECIMALS),
                end_seconds=round(shot.end_seconds, _DECIMALS),
                transition=shot.transition,
                transition_seconds=round(shot.transition_seconds, _DECIMALS),
                motion=motion,
                color=color,
            )
            for shot, motion, color in parts
        ]

    @property
    def motion(self) -> Motion | None:
        return self._analysers.motions.of_video if self._analysers.motions else None

    @property
    def color(self) -> Color | None:
        return self._analysers.colors.of_video if self._analysers.colors else None

    @property
    def moment_pictures(self) -> ShownPictures | None:
        """Not ``None`` if clips are to be chosen."""
        return self._analysers.moment_pictures.shown if self._analysers.moment_pictures else None

    @property
    def motion_curve(self) -> MeasuredMotion | None:
        motions = self._analysers.motions
        return MeasuredMotion(np.array(motions.intensities), motions.step_seconds) if motions else None

    def _frame(self, decoded: VideoFrame, geometry: Geometry, begin: float, end: float) -> Frame:
        scaled = partial(self._scaler.shown, decoded, self._size, geometry, fast=True)
        show = partial(self._scaler.shown, decoded, geometry=geometry)
        fitted = self._fitted(geometry)
        return Frame(self._frame_rate.frames, begin, end, scaled, show, is_key=decoded.key_frame, fitted=fitted)

    def _fitted(self, geometry: Geometry) -> tuple[int, int] | None:
        if geometry == self._geometry:
            return None
        inside = geometry.within(self._size)
        return inside if inside != self._size else None
