"""The stage after the analysis: sections that were chosen or asked for become clips; the whole video is rendered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clipzy_storage.models.analysis import Analysis, ArtifactFile
from clipzy_storage.models.clip_options import ClipOptions
from clipzy_storage.models.clips import Clip
from clipzy_storage.models.measurements import Span
from clipzy_storage.models.output import Shot
from clipzy_worker.analysers.moments.measured import Measured
from clipzy_worker.analysis.asked_sections import asked_sections
from clipzy_worker.analysis.chosen_sections import chosen_sections
from clipzy_worker.analysis.sections import Section
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.errors import RenderFailed
from clipzy_worker.render.clips import RenderedClip, render_clip
from clipzy_worker.render.section import Footage
from clipzy_worker.render.whole_video import render_whole_video

_DECIMALS = 6
# The beginnings of shots are rounded to so many decimals.
_ROUNDING_SECONDS = 1e-6


@dataclass
class Clips:
    """What a job has of its clips; ``warnings`` are those of the job."""

    listed: list[Clip] = field(default_factory=list)
    artifacts: list[ArtifactFile] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def with_renditions(
    analysis: Analysis,
    footage: Footage,
    *,
    measured: Measured | None,
    on_fraction: Callable[[float], object],
    on_segment: Callable[[str], object],
) -> Analysis:
    """The analysis with the clips and the rendered video that its config asks for.

    ``measured`` is what clips are chosen by. ``on_fraction`` is called with the progress from 0 to 1, ``on_segment``
    with the name of each segment of the rendered video. Raises what ``rendered_clips`` and ``render_whole_video`` do.
    """
    config = footage.request.config
    sections, warnings = _sections(config.clips, measured, footage.index)
    clips_share = _clips_share(sections, footage)
    if config.clips is not None:
        clips = _clips(
            footage, sections, config.clips, analysis, on_fraction=lambda done: on_fraction(done * clips_share)
        )
        analysis = _with(analysis, artifacts=clips.artifacts, warnings=warnings + clips.warnings, clips=clips.listed)
    if config.render is not None:
        render, artifact = render_whole_video(
            footage,
            config.render,
            on_fraction=lambda done: on_fraction(clips_share + done * (1 - clips_share)),
            on_segment=on_segment,
        )
        analysis = _with(analysis, artifacts=[artifact], warnings=[], render=render)
    return analysis


def _sections(
    options: ClipOptions | None, measured: Measured | None, index: FrameIndex
) -> tuple[list[Section], list[str]]:
    if options is None:
        return [], []
    if options.ranges is not None:
        return asked_sections(options.ranges, index)
    return chosen_sections(options, measured, index) if measured else ([], [])


def _clips_share(sections: Sequence[Section], footage: Footage) -> float:
    """Of the work of this stage, by the frames that are rendered."""
    config = footage.request.config
    of_clips = sum(len(section.frames) for section in sections) if config.clips and config.clips.render else 0
    of_all = of_clips + (len(footage.index) if config.render else 0)
    return of_clips / of_all if of_all else 0.0


def _clips(
    footage: Footage,
    sections: Sequence[Section],
    options: ClipOptions,
    analysis: Analysis,
    *,
    on_fraction: Callable[[float], object],
) -> Clips:
    if not options.render:
        return Clips(listed_clips(sections, footage.index, analysis.shots))
    speech = analysis.audio.speech if analysis.audio else []
    return rendered_clips(footage, sections, options, shots=analysis.shots, speech=speech, on_fraction=on_fraction)


def _with(
    analysis: Analysis, *, artifacts: Sequence[ArtifactFile], warnings: Sequence[str], **parts: object
) -> Analysis:
    added = {"artifacts": [*analysis.artifacts, *artifacts], "warnings": [*analysis.warnings, *warnings]}
    return analysis.model_copy(update=added | parts)


def listed_clips(sections: Sequence[Section], index: FrameIndex, shots: Sequence[Shot]) -> list[Clip]:
    """An entry for each section, in this order; nothing is rendered."""
    return [_listed(number, section, index, shots) for number, section in enumerate(sections)]


def rendered_clips(
    footage: Footage,
    sections: Sequence[Section],
    options: ClipOptions,
    *,
    shots: Sequence[Shot],
    speech: Sequence[Span],
    on_fraction: Callable[[float], object],
) -> Clips:
    """The clips of these sections. One that cannot be rendered has a warning and no files; the others have theirs.

    ``on_fraction`` is called with the progress from 0 to 1 before each picture.

    Raises:
        InvalidMedia: there is too much to decode or to encode.
        StorageUnavailable: the source can no longer be read.
        OSError, MemoryError: there is no room.
    """
    clips = Clips()
    counts = [len(footage.outputs(section.frames, options)) for section in sections]
    done = 0

    def count_picture() -> None:
        nonlocal done
        on_fraction(done / sum(counts))
        done += 1

    for number, clip in enumerate(listed_clips(sections, footage.index, shots)):
        frames = sections[number].frames
        try:
            rendered = render_clip(footage, number, frames, options, speech=speech, on_picture=count_picture)
        except RenderFailed as error:
            clips.listed.append(clip.model_copy(update={"warnings": [*clip.warnings, str(error)]}))
            clips.warnings.append(f"Clip {number} could not be rendered. {error}")
        else:
            clips.listed.append(_with_files(clip, rendered))
            clips.artifacts += rendered.artifacts
        done = sum(counts[: number + 1])
    return clips


def _listed(number: int, section: Section, index: FrameIndex, shots: Sequence[Shot]) -> Clip:
    frames, choice = section.frames, section.choice
    starts_at, ends_at = index.seconds_of(frames.start), index.seconds_of(frames.stop)
    return Clip(
        index=number,
        rank=choice.rank if choice else None,
        start_seconds=round(starts_at, _DECIMALS),
        end_seconds=round(ends_at, _DECIMALS),
        start_frame=frames.start,
        end_frame=frames.stop,
        duration_seconds=round(ends_at - starts_at, _DECIMALS),
        shots=(_shot_at(starts_at, shots), _shot_at(index.seconds_of(frames.stop - 1), shots)),
        profile=choice.profile if choice else None,
        score=choice.score if choice else None,
        parts=choice.parts if choice else [],
        edges=section.edges,
        warnings=section.warnings,
    )


def _shot_at(seconds: float, shots: Sequence[Shot]) -> int:
    """The number of the shot that a frame of this time belongs to."""
    return max((shot.index for shot in shots if shot.start_seconds <= seconds + _ROUNDING_SECONDS), default=0)


def _with_files(clip: Clip, rendered: RenderedClip) -> Clip:
    rendition = rendered.section.rendition
    return clip.model_copy(
        update={
            "reframe": rendition.reframe,
            "width": rendition.width,
            "height": rendition.height,
            "frame_rate": rendition.frame_rate,
            "loudness": rendition.loudness,
            "warnings": clip.warnings + rendered.section.warnings,
            "artifacts": [artifact.file for artifact in rendered.artifacts],
        }
    )
