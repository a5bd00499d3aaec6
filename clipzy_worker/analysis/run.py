"""The stages over one file, in order: the decode pass that feeds every analyser, then what follows from its results."""

import shutil
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2

from clipzy_storage.models.analysis import Analysis
from clipzy_storage.models.measurements import Audio
from clipzy_storage.models.timecode import exact_rate
from clipzy_worker.analysers.images.thumbnails import INTERVALS_DIRECTORY, SHOTS_DIRECTORY
from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.analysis.chosen_sections import measured_for_choice
from clipzy_worker.analysis.demux import DemuxPass
from clipzy_worker.analysis.rendering import with_renditions
from clipzy_worker.analysis.result_estimate import check_estimate
from clipzy_worker.analysis.shown_sizes import MostlyAnotherSize
from clipzy_worker.analysis.timings import StageTimer
from clipzy_worker.analysis.video_pass import VideoPass
from clipzy_worker.analysis.warnings import is_damaged, warnings_about
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.decode.other_audio import other_tracks_with_signal
from clipzy_worker.decode.read_ahead import frames_ahead
from clipzy_worker.decode.source import Source, open_source
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.render.section import Footage
from clipzy_worker.render.sound import Soundtrack
from clipzy_worker.sandbox.protocol import Report
from clipzy_worker.sandbox.request import MediaRequest
from clipzy_worker.stages import (
    AUDIO_ANALYSIS,
    MOTION_ANALYSIS,
    RENDERING,
    STYLE_EXTRACTION,
    VIDEO_ANALYSIS,
    stages_of,
)
from clipzy_worker.style.extract import extract

# Of a video that is one frame of unknown duration.
_FALLBACK_RATE = 25.0


def analyse(request: MediaRequest, report: Report) -> Analysis:
    """All that is measured in one file; its artifacts are written to ``request.out_directory``.

    Raises:
        InvalidMedia: it has no video track, none that can be decoded, or exceeds the limits.
        ResultTooLarge: the result would be larger than the limits allow.
        StorageUnavailable: the file cannot be read, whatever its content.
        OSError: an artifact cannot be written.
    """
    cv2.setNumThreads(1)
    timer, decoded = StageTimer(), DecodedPixels(request.limits.max_decoded_pixels)
    given_up: MostlyAnotherSize | None = None
    while True:
        try:
            return _analysed(request, report, timer, decoded, instead_of=given_up)
        except MostlyAnotherSize as error:
            given_up = error
            _remove_thumbnails(request.out_directory)


def _analysed(
    request: MediaRequest,
    report: Report,
    timer: StageTimer,
    decoded: DecodedPixels,
    *,
    instead_of: MostlyAnotherSize | None,
) -> Analysis:
    """One pass over the file. Raises ``MostlyAnotherSize`` if it should begin anew, at another size."""
    index = FrameIndex() if request.config.clips or request.config.render else None
    with open_source(request, decoded=decoded) as source:
        check_estimate(source, request)
        audio_pass = _audio_pass(source, request, timer)
        demux = DemuxPass(source, limits=request.limits, audio=audio_pass, timer=timer, index=index)
        with timer.charged(VIDEO_ANALYSIS.name):
            video_pass = _decoded(source, demux, request, timer, report, instead_of=instead_of)
        report.progress(AUDIO_ANALYSIS, 0.0)
        audio = _finished(audio_pass, float(demux.end_seconds), timer)
        other_tracks = other_tracks_with_signal(request, source) if audio_pass else {}
        report.progress(MOTION_ANALYSIS, 0.0)
        with timer.charged(MOTION_ANALYSIS.name):
            video_pass.finish(float(demux.end_seconds), zero=demux.zero)
        facts, shots = video_pass.facts(demux.video_end_seconds, demux.end_seconds), video_pass.shots()
        motion, color = video_pass.motion, video_pass.color
        report.progress(STYLE_EXTRACTION, 0.0)
        style = None
        if "style" in request.config.analyses:
            with timer.charged(STYLE_EXTRACTION.name):
                damaged = is_damaged(demux, audio_pass)
                style = extract(facts, shots, audio=audio, motion=motion, color=color, damaged=damaged)
        analysis = Analysis(
            source=facts,
            shots=shots,
            audio=audio,
            motion=motion,
            color=color,
            style=style,
            artifacts=video_pass.artifacts + (audio_pass.artifacts if audio_pass else []),
            warnings=warnings_about(source, demux, audio_pass, video_pass.sizes, other_tracks),
            timings=timer.rounded(),
        )
    if index is None:
        return analysis
    with timer.charged(RENDERING.name):
        soundtrack = _soundtrack(request, source, audio_pass, zero=index.zero)
        footage = Footage(
            request,
            index,
            frame_rate=exact_rate(facts.frame_rate or _FALLBACK_RATE),
            shown_size=(facts.width, facts.height),
            soundtrack=soundtrack,
            decoded=decoded,
        )
        analysis = with_renditions(
            analysis,
            footage,
            measured=measured_for_choice(video_pass, audio_pass, shots, end_seconds=index.end_seconds),
            on_fraction=partial(report.progress, RENDERING),
            on_segment=report.finished_segment,
        )
    return analysis.model_copy(update={"timings": timer.rounded()})


def _soundtrack(
    request: MediaRequest, source: Source, audio_pass: AudioPass | None, *, zero: Fraction
) -> Soundtrack | None:
    """The audio of what is rendered; None if there is none, or nothing is rendered."""
    if source.audio is None or RENDERING not in stages_of(request.config):
        return None
    soundtrack = Soundtrack(request, zero=zero, index=audio_pass.index if audio_pass else None)
    return soundtrack if soundtrack.channels else None


def _audio_pass(source: Source, request: MediaRequest, timer: StageTimer) -> AudioPass | None:
    if source.audio is None or "audio" not in request.config.analyses:
        return None
    return AudioPass(source.audio, origin=source.start, timer=timer, request=request)


def _remove_thumbnails(out_directory: Path) -> None:
    """Those of a pass that was given up: its shots may be others."""
    for name in (SHOTS_DIRECTORY, INTERVALS_DIRECTORY):
        shutil.rmtree(out_directory / name, ignore_errors=True)


def _decoded(
    source: Source,
    demux: DemuxPass,
    request: MediaRequest,
    timer: StageTimer,
    report: Report,
    *,
    instead_of: MostlyAnotherSize | None,
) -> VideoPass:
    """The video pass after the last frame. Raises ``InvalidMedia`` if there is no frame."""
    video_pass: VideoPass | None = None
    with frames_ahead(demux, pixels=source.claimed_pixels) as frames:
        for frame in frames:
            video_pass = video_pass or VideoPass(source, frame, request, timer, instead_of=instead_of)
            video_pass.process(frame)
            report.progress(VIDEO_ANALYSIS, demux.fraction)
    if video_pass is None:
        raise InvalidMedia("No frame of the video could be decoded: the file is damaged or incomplete.")
    video_pass.sizes.check_whole()
    video_pass.finish_shots(float(demux.end_seconds))
    return video_pass


def _finished(audio_pass: AudioPass | None, end_seconds: float, timer: StageTimer) -> Audio | None:
    if audio_pass is None:
        return None
    with timer.charged(AUDIO_ANALYSIS.name):
        audio_pass.finish(end_seconds)
        return audio_pass.result()
