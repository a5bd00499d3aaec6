"""Loudness against EBU Tech 3341 (2023, table 1) and Tech 3342 (2023, table 1): every signal that can be synthesised.

Left out are the authentic programmes, which are recordings: cases 7 and 8 of Tech 3341, 5 and 6 of Tech 3342.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from clipzy_worker.analysers.audio.loudness import LoudnessMeter
from tests.support.media.sounds import RATE_HZ, Wave, audio_of, film, joined, silence, tapered, tone

STEREO = "stereo"
LU = 0.1  # of tolerance


def levels(*parts: tuple[float, float]) -> Callable[[], Wave]:
    """Tones of 1 kHz, each with its level and its seconds."""
    return lambda: joined(*(tone(seconds, dbfs) for dbfs, seconds in parts))


def five_channels() -> Wave:
    return np.concatenate([tone(20, dbfs, channels=1) for dbfs in (-28, -28, -24, -30, -30)])


def burst(offset: int) -> Wave:
    """A sine of a sixth of the rate at half scale with one full-scale period of a fourth, made at four times the rate,
    band-limited, and sampled from this offset on."""
    around, inside = 24 * 400, 16
    at_four = np.concatenate(
        [
            0.5 * np.sin(2 * np.pi * np.arange(around) / 24),
            np.sin(2 * np.pi * np.arange(inside) / 16),
            0.5 * np.sin(2 * np.pi * np.arange(around) / 24),
        ]
    )
    reach = np.arange(-256, 257)
    low_pass = np.sinc(0.475 * reach / 2) * np.kaiser(len(reach), 8)  # half way from 0.45 to 0.5 of the rate
    sampled = np.convolve(at_four, low_pass / low_pass.sum(), mode="same")[offset::4]
    return tapered(np.tile(sampled, (2, 1)))


@dataclass(frozen=True)
class Case:
    """A signal and what must be read: fields of ``audio``, each with the lowest and the highest that is right."""

    name: str
    wave: Callable[[], Wave]
    expected: dict[str, tuple[float, float]]
    layout: str = STEREO


def integrated(lufs: float) -> dict[str, tuple[float, float]]:
    return {"integrated_lufs": (lufs - LU, lufs + LU)}


def all_three(lufs: float) -> dict[str, tuple[float, float]]:
    reading = (lufs - LU, lufs + LU)
    return {"integrated_lufs": reading, "max_momentary_lufs": reading, "max_short_term_lufs": reading}


def short_term(lufs: float) -> dict[str, tuple[float, float]]:
    return {"max_short_term_lufs": (lufs - LU, lufs + LU)}


def momentary(lufs: float) -> dict[str, tuple[float, float]]:
    return {"max_momentary_lufs": (lufs - LU, lufs + LU)}


def true_peak(dbtp: float) -> dict[str, tuple[float, float]]:
    return {"true_peak_dbtp": (dbtp - 0.4, dbtp + 0.2)}


def loudness_range(lu: float) -> dict[str, tuple[float, float]]:
    return {"loudness_range_lu": (lu - 1, lu + 1)}


def live(index: int, seconds: float, step_seconds: float) -> Callable[[], Wave]:
    """The signal for live meters up to its tone of this index, which is the loudest so far."""
    return lambda: joined(
        *(
            part
            for i in range(index + 1)
            for part in (
                silence(i * step_seconds),
                tone(seconds, -38 + i),
                silence(seconds - i * step_seconds),
            )
        )
    )


def alone(index: int, seconds: float, step_seconds: float) -> Callable[[], Wave]:
    """A tone that begins at its own place between the readings of a meter."""
    return lambda: joined(silence(index * step_seconds), tone(seconds, -23), silence(1))


def peaks(part_of_rate: int, amplitude: float, degrees: float) -> Callable[[], Wave]:
    dbfs = float(20 * np.log10(amplitude))
    return lambda: tapered(tone(1, dbfs, hz=RATE_HZ / part_of_rate, degrees=degrees))


QUICK = [
    Case("3341-1", levels((-23, 20)), all_three(-23)),
    Case("3341-6", five_channels, integrated(-23), layout="5.0"),
    Case("3341-13, segment 7", alone(7, 0.4, 0.02), momentary(-23)),
    Case("3341-18", peaks(8, 0.5, 67.5), true_peak(-6)),
    Case("3341-19", peaks(4, 1.41, 45), true_peak(3)),
    Case("3341-22", partial(burst, 2), true_peak(0)),
    Case("3342-1", levels((-20, 20), (-30, 20)), loudness_range(10)),
]
LONG = [
    Case("3341-2", levels((-33, 20)), all_three(-33)),
    Case("3341-3", levels((-36, 10), (-23, 60), (-36, 10)), integrated(-23)),
    Case("3341-4", levels((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), integrated(-23)),
    Case("3341-5", levels((-26, 20), (-20, 20.1), (-26, 20)), integrated(-23)),
    *(Case(f"3341-10, segment {i}", alone(i, 3, 0.15), short_term(-23)) for i in range(20)),
    *(Case(f"3341-11, segment {i}", live(i, 3, 0.15), short_term(-38 + i)) for i in range(20)),
    *(Case(f"3341-13, segment {i}", alone(i, 0.4, 0.02), momentary(-23)) for i in range(20) if i != 7),
    *(Case(f"3341-14, segment {i}", live(i, 0.4, 0.02), momentary(-38 + i)) for i in range(20)),
    Case("3341-15", peaks(4, 0.5, 0), true_peak(-6)),
    Case("3341-16", peaks(4, 0.5, 45), true_peak(-6)),
    Case("3341-17", peaks(6, 0.5, 60), true_peak(-6)),
    *(Case(f"3341-{20 + offset}", partial(burst, offset), true_peak(0)) for offset in (0, 1, 3)),
    Case("3342-2", levels((-20, 20), (-15, 20)), loudness_range(5)),
    Case("3342-3", levels((-40, 20), (-20, 20)), loudness_range(20)),
    Case("3342-4", levels((-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)), loudness_range(15)),
]


@pytest.mark.parametrize(
    "case", [*QUICK, *(pytest.param(case, marks=pytest.mark.long) for case in LONG)], ids=lambda case: case.name
)
def test_reads_what_the_ebu_says_a_meter_must_read(case: Case, tmp_path: Path) -> None:
    # Given a video whose audio is the signal of this case
    path = film(tmp_path / "signal.mov", case.wave(), layout=case.layout)

    # When it is measured
    audio = audio_of(path)

    # Then every figure lies within the tolerance of the case
    for field, (lowest, highest) in case.expected.items():
        assert lowest <= audio[field] <= highest, (field, audio[field])


@pytest.mark.parametrize(
    ("name", "parts", "curve", "from_seconds"),
    [
        ("3341-9", ((-20, 1.34), (-30, 1.66)) * 5, "short_term_lufs", 3),
        ("3341-12", ((-20, 0.18), (-30, 0.22)) * 25, "momentary_lufs", 1),
    ],
)
def test_the_curve_is_steady_where_the_ebu_says_so(
    name: str, parts: tuple[tuple[float, float], ...], curve: str, from_seconds: int, tmp_path: Path
) -> None:
    # Given the signal that changes within every window alike
    path = film(tmp_path / f"{name}.mov", levels(*parts)())

    # When it is measured
    audio_of(path)
    found = json.loads((tmp_path / "found" / "loudness.json").read_text())

    # Then the curve stands at -23 LUFS once its window is full
    steady = found[curve][round(from_seconds / found["step_seconds"]) - 1 :]
    assert len(steady) > 50
    assert all(abs(level + 23) <= LU for level in steady), (min(steady), max(steady))


SURROUND_LU = 1.49  # 1.41 of the power


@pytest.mark.parametrize(
    ("layout", "channel", "more_lu"),
    [
        ("5.1", 0, 0),
        ("5.1", 4, SURROUND_LU),  # back left, at 110 degrees where there is none at the side
        ("7.1", 4, 0),  # back left, at 135 degrees
        ("7.1", 6, SURROUND_LU),  # side left
        ("6.1", 4, 0),  # back centre
    ],
)
def test_each_loudspeaker_counts_as_the_itu_says(layout: str, channel: int, more_lu: float, tmp_path: Path) -> None:
    # Given a tone in one channel alone, which would be read at -23 LUFS in front
    count = {"5.1": 6, "7.1": 8, "6.1": 7}[layout]
    wave = np.zeros((count, 3 * RATE_HZ))
    wave[channel] = tone(3, -20, channels=1)[0]

    # When it is measured
    audio = audio_of(film(tmp_path / "one.mov", wave, layout=layout))

    # Then the channel has the weight of its place
    assert audio["integrated_lufs"] == pytest.approx(-23 + more_lu, abs=LU)


def test_low_frequency_effects_are_not_loud_but_peak(tmp_path: Path) -> None:
    # Given a video with audio in its channel for low frequency effects alone
    wave = np.zeros((6, 3 * RATE_HZ))
    wave[3] = tone(3, -6, channels=1, hz=50)[0]

    # When it is measured
    audio = audio_of(film(tmp_path / "effects.mov", wave, layout="5.1"))

    # Then it has no loudness, by ITU-R BS.1770, and has a peak
    assert audio["integrated_lufs"] is None
    assert audio["true_peak_dbtp"] == pytest.approx(-6, abs=0.2)


@pytest.mark.parametrize(
    "rate_hz", [8_000, *(pytest.param(rate, marks=pytest.mark.long) for rate in (11_025, 22_050, 44_100)), 96_000]
)
def test_the_rate_does_not_matter(rate_hz: int, tmp_path: Path) -> None:
    # Given the first signal at another rate, tapered since a click at its beginning is a peak of its own
    wave = tapered(tone(5, -23, rate_hz=rate_hz), rate_hz=rate_hz)

    # When it is measured
    audio = audio_of(film(tmp_path / "rate.mov", wave, rate_hz=rate_hz))

    # Then it is as loud, and has the same peak
    assert audio["sample_rate_hz"] == rate_hz
    assert audio["integrated_lufs"] == pytest.approx(-23, abs=LU)
    assert audio["max_short_term_lufs"] == pytest.approx(-23, abs=LU)
    assert -23.4 <= audio["true_peak_dbtp"] <= -22.8


def test_a_gap_in_the_audio_is_as_silent_as_silence() -> None:
    """Chunks leave gaps out; without filling them, a second after two of silence would count as the one after it."""
    # Given a second of sound, two of which there is none, and another one: as a gap, and as digital silence
    with_gap, with_silence = LoudnessMeter(), LoudnessMeter()
    for first_hop in (0, 300):
        with_gap.add(first_hop, np.ones(100))
    with_silence.add(0, np.concatenate([np.ones(100), np.zeros(200), np.ones(100)]))

    # When the loudness is read, Then it is the same, and each moment has its own
    assert with_gap.integrated_lufs == with_silence.integrated_lufs
    assert with_gap.max_short_term_lufs == with_silence.max_short_term_lufs
    (momentary, short_term), expected = with_gap.curves(4), with_silence.curves(4)
    assert momentary.tolist() == expected[0].tolist()
    assert short_term.tolist() == expected[1].tolist()
    assert [momentary[round(seconds * 10) - 1] for seconds in (0.8, 2.0, 3.8)] == pytest.approx([-0.691, -70, -0.691])


def test_a_short_peak_far_from_the_rest_is_found(tmp_path: Path) -> None:
    # Given a loud passage, and later a burst whose samples stay below it, though it is louder between them
    passage = tapered(tone(1, -2.5, hz=997))
    wave = joined(passage, silence(1), tapered(tone(0.05, 0, hz=12_000, degrees=45), seconds=0.02), silence(1))

    # When it is measured
    audio = audio_of(film(tmp_path / "burst.mov", wave))

    # Then the peak between the samples is the one that is told
    assert -0.4 <= audio["true_peak_dbtp"] <= 0.2
