"""Style DNA from the measurements of one video. Pure; ``docs/style-dna.md`` defines each field."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

from clipzy_storage.models.measurements import Audio, Color, ColorGrade, Motion
from clipzy_storage.models.output import Shot, VideoFacts
from clipzy_storage.models.style_dna import AudioStyle, DetectedBeat, MeasuredStyle, TransitionStyle

QUIETEST_LUFS, LOUDEST_LUFS = -36.0, -6.0
UNCOMPRESSED_RANGE_LU = 20.0
"""That of film and concert audio mixed for a quiet room."""
NAMED_RATIOS = {"16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1.0, "4:3": 4 / 3, "21:9": 64 / 27}
RATIO_TOLERANCE = 0.015
"""2.39:1, 2.35:1 and 64:27 are all sold as 21:9; 1.375:1 is not 4:3."""
NEAR_BEAT_SECONDS = 0.1
MIN_CUTS = MIN_BEATS = 4
MAX_CHANCE = 0.9
"""With a higher one, every moment is near a beat."""
CONFIDENT_SECONDS = 30.0
CONFIDENT_SHOTS = 5
CONFIDENCE_WITHOUT_AUDIO = 0.75
CONFIDENCE_DAMAGED = 0.7
CONFIDENCE_WITHOUT_PART = 0.8

TransitionKind = Literal["cut", "fade", "dissolve"]

# In this order if two are equally frequent.
_TRANSITION_KINDS: tuple[TransitionKind, ...] = ("cut", "dissolve", "fade")


def extract(
    source: VideoFacts,
    shots: Sequence[Shot],
    *,
    audio: Audio | None,
    motion: Motion | None,
    color: Color | None,
    damaged: bool,
) -> MeasuredStyle:
    cuts = [shot.start_seconds for shot in shots if shot.transition != "start"]
    beats = audio.beats if audio else []
    primary, secondary = ranked_transitions(shots)
    return MeasuredStyle(
        color_grade=ColorGrade(**color.model_dump(include=set(ColorGrade.model_fields))) if color else None,
        aspect_ratio=aspect_ratio(source.width, source.height),
        frame_rate=source.frame_rate,
        audio_style=audio_style(audio),
        cut_frequency=round(60 * len(cuts) / source.duration_seconds, 2),
        motion_intensity=motion.intensity if motion else None,
        zoom_usage=motion.zoom_percent if motion else None,
        primary_transition=primary,
        secondary_transition=secondary,
        detected_beats=[
            DetectedBeat(timestamp_ms=round(beat.time_seconds * 1000), confidence=beat.confidence, frequency=beat.band)
            for beat in beats
        ],
        tempo_bpm=audio.tempo_bpm if audio else None,
        beat_sync=beat_sync(cuts, [beat.time_seconds for beat in beats]),
        source_duration_seconds=source.duration_seconds,
        extraction_confidence=extraction_confidence(
            source, shots, audio=audio, motion=motion, color=color, damaged=damaged
        ),
    )


def aspect_ratio(width: int, height: int) -> str:
    """The nearest named ratio, or else the exact one in lowest terms."""
    ratio = width / height
    for name, named in NAMED_RATIOS.items():
        if abs(ratio / named - 1) <= RATIO_TOLERANCE:
            return name
    divisor = math.gcd(width, height)
    return f"{width // divisor}:{height // divisor}"


def audio_style(audio: Audio | None) -> AudioStyle:
    if audio is None:
        return AudioStyle(normalization_level=None, compression_ratio=None, bass_boost=None, speech_ratio=None)
    return AudioStyle(
        normalization_level=normalization_level(audio.integrated_lufs),
        compression_ratio=compression_ratio(audio.loudness_range_lu),
        bass_boost=audio.bass_percent,
        speech_ratio=audio.speech_ratio,
    )


def normalization_level(integrated_lufs: float | None) -> float | None:
    """0 at -36 LUFS to 1 at -6 LUFS, linear."""
    if integrated_lufs is None:
        return None
    return round(min(max((integrated_lufs - QUIETEST_LUFS) / (LOUDEST_LUFS - QUIETEST_LUFS), 0.0), 1.0), 3)


def compression_ratio(loudness_range_lu: float | None) -> float | None:
    """The loudness range of uncompressed audio over that of this audio; 1 is no compression.

    ``None`` without any range: a tone or a short beep is not compressed music.
    """
    if not loudness_range_lu:
        return None
    return round(max(UNCOMPRESSED_RANGE_LU / loudness_range_lu, 1.0), 2)


def ranked_transitions(shots: Sequence[Shot]) -> tuple[TransitionStyle | None, TransitionStyle | None]:
    """The most frequent transition and the second, each with its median duration; ``None`` if there is none."""
    durations = {
        kind: [shot.transition_seconds for shot in shots if shot.transition == kind] for kind in _TRANSITION_KINDS
    }
    ranked = sorted((kind for kind in _TRANSITION_KINDS if durations[kind]), key=lambda kind: -len(durations[kind]))
    styles = [TransitionStyle(type=kind, duration_ms=round(median(durations[kind]) * 1000)) for kind in ranked]
    first, second, *_ = [*styles, None, None]
    return first, second


def beat_sync(cuts: Sequence[float], beats: Sequence[float]) -> float | None:
    """Share of the cuts within 100 ms of a beat, above chance: 0 is chance or less, 1 is all of them.

    Only cuts between the first and the last beat count. ``None`` if there are too few of either, or if the beats are so
    dense that every moment is near one.
    """
    if len(beats) < MIN_BEATS:
        return None
    inside = [cut for cut in cuts if beats[0] - NEAR_BEAT_SECONDS <= cut <= beats[-1] + NEAR_BEAT_SECONDS]
    chance = _share_near(beats)
    if len(inside) < MIN_CUTS or chance > MAX_CHANCE:
        return None
    hits = sum(_distance(cut, beats) <= NEAR_BEAT_SECONDS for cut in inside) / len(inside)
    return round(max((hits - chance) / (1 - chance), 0.0), 3)


def _share_near(beats: Sequence[float]) -> float:
    """The share of the time from the first to the last beat that is near one."""
    near = sum(min(later - earlier, 2 * NEAR_BEAT_SECONDS) for earlier, later in pairwise(beats))
    return (near + 2 * NEAR_BEAT_SECONDS) / (beats[-1] - beats[0] + 2 * NEAR_BEAT_SECONDS)


def _distance(moment: float, beats: Sequence[float]) -> float:
    index = bisect_left(beats, moment)
    return min(abs(beat - moment) for beat in beats[max(index - 1, 0) : index + 1])


def extraction_confidence(
    source: VideoFacts,
    shots: Sequence[Shot],
    *,
    audio: Audio | None,
    motion: Motion | None,
    color: Color | None,
    damaged: bool,
) -> float:
    """From 0 to 1: the product of one factor for each reason to doubt.

    Short (below 30 s, linear down to 0.5), of few shots (below 5, linear down to 0.7 for one), silent or without audio,
    damaged, and each part that was not requested or could not be measured.
    """
    is_audible = audio is not None and audio.integrated_lufs is not None
    factors = [
        0.5 + 0.5 * min(source.duration_seconds / CONFIDENT_SECONDS, 1.0),
        0.7 + 0.3 * min((len(shots) - 1) / (CONFIDENT_SHOTS - 1), 1.0),
        1.0 if is_audible else CONFIDENCE_WITHOUT_AUDIO,
        CONFIDENCE_DAMAGED if damaged else 1.0,
        *(1.0 if part else CONFIDENCE_WITHOUT_PART for part in (color, motion)),
    ]
    product = 1.0
    for factor in factors:
        product *= factor
    return round(product, 3)
