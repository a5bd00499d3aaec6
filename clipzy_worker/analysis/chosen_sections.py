"""The sections of a video that are its best moments."""

from collections.abc import Sequence

import numpy as np

from clipzy_storage.models.clip_options import MAX_CLIPS_SECONDS, ClipOptions, Profile
from clipzy_storage.models.clips import Edge, Edges
from clipzy_storage.models.output import Shot
from clipzy_worker.analysers.moments.candidates import Area, Candidates, area_of, candidates
from clipzy_worker.analysers.moments.cells import Numbers
from clipzy_worker.analysers.moments.choice import Chosen, best_windows, diverse_windows
from clipzy_worker.analysers.moments.measured import Measured, MeasuredShot
from clipzy_worker.analysers.moments.parts import is_cut, part_values
from clipzy_worker.analysers.moments.score import BARE_GRID_COST, CUT_SPEECH_COST, Scores, profile_of, scores
from clipzy_worker.analysers.moments.snapping import FrameEdge, FrameTimes
from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.analysis.sections import Choice, Section
from clipzy_worker.analysis.video_pass import VideoPass

_DECIMALS = 6


def chosen_sections(options: ClipOptions, measured: Measured, frames: FrameTimes) -> tuple[list[Section], list[str]]:
    """The sections, by time, and what is to be said about them: why there are fewer than ``options.count``.

    They do not overlap, have ``options.min_seconds`` to ``options.max_seconds`` (a shorter video is one section), lie
    in ``options.within`` and last ``MAX_CLIPS_SECONDS`` together at most. Equal measurements have equal sections.
    """
    area = area_of(options, frames)
    if area is None:
        return [], ["No clip could be chosen: the video has no frame in clips.within."]
    found = candidates(options, measured, frames, area)
    profile = profile_of(measured.sound) if options.profile == "auto" else options.profile
    values = part_values(measured, found.windows)
    scored = scores(profile, values, _worth_of_edges(measured, found))
    if not scored.weights:
        return [], ["No clip could be chosen: there is nothing to score in it, no sound and only blank pictures."]
    chosen = _chosen(options, measured, found, scored)
    ranks = {window: rank for rank, window in enumerate(chosen.windows, 1)}
    sections = [_section(found, scored, window, profile, ranks[window]) for window in sorted(ranks)]
    return sections, _warnings(options, area, chosen)


def measured_for_choice(
    video_pass: VideoPass, audio_pass: AudioPass | None, shots: Sequence[Shot], *, end_seconds: float
) -> Measured | None:
    """What the passes, after their ends, know about moments; ``None`` if no clips are to be chosen."""
    pictures = video_pass.moment_pictures
    if pictures is None:
        return None
    return Measured(
        end_seconds=end_seconds,
        shots=[_measured_shot(shot) for shot in shots],
        pictures=pictures,
        sound=audio_pass.sound(end_seconds) if audio_pass else None,
        motion=video_pass.motion_curve,
    )


def _measured_shot(shot: Shot) -> MeasuredShot:
    camera = shot.motion.camera if shot.motion else None
    return MeasuredShot(shot.start_seconds, shot.end_seconds, camera is not None and camera.movement == "handheld")


def _chosen(options: ClipOptions, measured: Measured, found: Candidates, scored: Scores) -> Chosen:
    if options.diversity == 0:
        return best_windows(found.windows, scored.totals, count=options.count, total_seconds=MAX_CLIPS_SECONDS)
    return diverse_windows(
        measured,
        found.windows,
        scored.totals,
        count=options.count,
        total_seconds=MAX_CLIPS_SECONDS,
        diversity=options.diversity,
    )


def _worth_of_edges(measured: Measured, found: Candidates) -> Numbers:
    windows = found.windows
    costs = [
        CUT_SPEECH_COST * is_cut(times, measured.sound)
        + BARE_GRID_COST * np.array([edge.kind == "grid" for edge in edges], np.float64)
        for times, edges in ((windows.starts, found.starts), (windows.ends, found.ends))
    ]
    return 1 - costs[0][windows.first] - costs[1][windows.last]


def _section(found: Candidates, scored: Scores, window: int, profile: Profile, rank: int) -> Section:
    start, end = found.starts[found.windows.first[window]], found.ends[found.windows.last[window]]
    choice = Choice(rank, profile, float(scored.totals[window]), scored.parts(window))
    return Section(range(start.frame, end.frame), Edges(start=_edge(start), end=_edge(end)), choice)


def _edge(edge: FrameEdge) -> Edge:
    return Edge(kind=edge.kind, moved_seconds=round(edge.moved_seconds, _DECIMALS))


def _warnings(options: ClipOptions, area: Area, chosen: Chosen) -> list[str]:
    found = len(chosen.windows)
    if found >= options.count:
        return []
    where = "the video" if options.within is None else "clips.within"
    if area.seconds < options.min_seconds:
        why = f"{where} is shorter than clips.min_seconds"
    elif chosen.is_short_of_time:
        why = f"clips may have {MAX_CLIPS_SECONDS} seconds together"
    else:
        why = f"there is no room in {where} for another that does not overlap, or nothing happens there"
    return [f"{found} of {options.count} clips were chosen: {why}."]
