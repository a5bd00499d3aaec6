"""The loudness that was asked for: reached by a gain, and by a limiter where peaks would be too high."""

import resource
from pathlib import Path

import numpy as np
import pytest

from clipzy_worker.render.limiter import Level, levelled
from clipzy_worker.render.loudness import planned
from clipzy_worker.render.sound import SoundSection
from tests.support.media.clips import ffmpeg
from tests.support.media.sound_sections import Rendered, index_of, joined_blocks, soundtrack_of
from tests.support.media.sounds import RATE_HZ, Wave, film, silence, tone

SECONDS = 6


def measured_by_ffmpeg(samples: Rendered, directory: Path) -> tuple[float, float]:
    """Integrated loudness in LUFS and true peak in dBTP, by another implementation of both standards."""
    raw, found = directory / "rendered.raw", directory / "measured.txt"
    raw.write_bytes(samples.T.astype("<f4").tobytes())
    meter = f"ebur128=peak=true:metadata=1,ametadata=mode=print:file={found}"
    ffmpeg("-f", "f32le", "-ar", str(RATE_HZ), "-ch_layout", "stereo", "-i", str(raw), "-af", meter, "-f", "null", "-")
    figures = dict(line.split("=") for line in found.read_text().splitlines() if line.startswith("lavfi"))
    peak = max(float(value) for name, value in figures.items() if "true_peaks_ch" in name)
    return float(figures["lavfi.r128.I"]), 20 * np.log10(peak)


def noise(dbfs: float, *, channels: int = 2) -> Wave:
    """Its power is at this level; peaks are about 12 dB higher."""
    return 10 ** (dbfs / 20) * np.random.default_rng(7).standard_normal((channels, SECONDS * RATE_HZ))


def strokes(dbfs: float) -> Wave:
    """Noise that is loud for a twentieth of each second: its peaks are far over its loudness."""
    times = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    return noise(dbfs) * np.where(times % 1 < 0.05, 1.0, 0.05)


def half_below_the_gate() -> Wave:
    """Half at -66 LUFS, and half at -73, which counts only after a gain."""
    return noise(-72) * np.where(np.arange(SECONDS * RATE_HZ) < SECONDS * RATE_HZ / 2, 1.0, 10 ** (-7 / 20))


def section_of(path: Path, wave: Wave, *, layout: str | None = None) -> SoundSection:
    return soundtrack_of(film(path, wave, layout=layout)).section(0.5, 5.5, fade_in=True, fade_out=True)


@pytest.mark.parametrize(
    ("wave", "target_lufs", "is_limited"),
    [
        (tone(SECONDS, -30), -14, False),
        (noise(-12), -23, False),
        (half_below_the_gate(), -20, False),
        (noise(-25), -7, True),
        (strokes(-20), -16, True),
    ],
)
def test_the_loudness_that_was_asked_for_is_reached(
    wave: Wave, target_lufs: float, is_limited: bool, tmp_path: Path
) -> None:
    # Given a section of some loudness
    section = section_of(tmp_path / "section.mov", wave)

    # When it is rendered with another
    plan = planned(section, target_lufs)
    rendered = joined_blocks(levelled(section, plan.level))

    # Then it has that, its peaks stay below -1 dBTP, and it is neither longer nor later
    original, loudness = joined_blocks(section), plan.loudness
    lufs, peak_dbtp = measured_by_ffmpeg(rendered, tmp_path)
    assert lufs == pytest.approx(target_lufs, abs=0.5)
    assert peak_dbtp <= -0.99
    assert loudness.after_lufs == pytest.approx(lufs, abs=0.1)
    assert plan.warnings == []
    assert loudness.before_lufs == pytest.approx(measured_by_ffmpeg(original, tmp_path)[0], abs=0.1)
    assert (loudness.limited_db > 0) == is_limited
    assert loudness.limited_db <= 6.1
    assert rendered.shape == original.shape
    if not is_limited:
        assert np.allclose(rendered, original * 10 ** (loudness.gain_db / 20), rtol=0.002)


def test_no_more_than_6_db_are_limited(tmp_path: Path) -> None:
    # Given quiet noise with a few loud clicks
    wave = noise(-45)
    wave[:, RATE_HZ :: RATE_HZ // 2] = 0.9
    section = section_of(tmp_path / "clicks.mov", wave)

    # When a loudness is asked for that would take much limiting
    plan = planned(section, -16)
    lufs, peak_dbtp = measured_by_ffmpeg(joined_blocks(levelled(section, plan.level)), tmp_path)

    # Then it gets louder only as far as that is little, and says so
    assert plan.loudness.limited_db == pytest.approx(6, abs=0.5)
    assert plan.loudness.after_lufs == pytest.approx(lufs, abs=0.1)
    assert lufs < -25
    assert peak_dbtp <= -0.99
    assert plan.warnings == [f"The audio has {lufs:.1f} LUFS instead of -16: more would need over 6 dB of limiting."]


@pytest.mark.parametrize(
    ("wave", "target_lufs", "lufs"),
    [(noise(-12), None, -5.9), (silence(SECONDS), -14, None), (silence(SECONDS), None, None), (noise(-85), -14, None)],
)
def test_silence_and_what_should_stay_are_left_alone(
    wave: Wave, target_lufs: float | None, lufs: float | None, tmp_path: Path
) -> None:
    # Given noise whose level should stay, or silence, or what nobody hears
    section = section_of(tmp_path / "section.mov", wave)

    # When it is planned
    plan = planned(section, target_lufs)

    # Then not a sample changes, and both figures are the same
    assert plan.level == Level()
    assert plan.loudness.before_lufs == plan.loudness.after_lufs == pytest.approx(lufs, abs=0.2)
    assert (plan.loudness.gain_db, plan.loudness.limited_db, plan.warnings) == (0, 0, [])
    assert np.array_equal(joined_blocks(levelled(section, plan.level)), joined_blocks(section))


def test_a_mix_does_not_exceed_full_scale(tmp_path: Path) -> None:
    # Given 5.1 that has the same sound in all its channels, near full scale, and stereo that exceeds it
    surround = section_of(tmp_path / "surround.mov", tone(SECONDS, -1, channels=6), layout="5.1")
    stereo = section_of(tmp_path / "stereo.mov", tone(SECONDS, 3))

    # When both should keep their level
    mixed, kept = planned(surround, None), planned(stereo, None)

    # Then the peaks that the mix has made are limited, and the others stay as they are
    _, peak_dbtp = measured_by_ffmpeg(joined_blocks(levelled(surround, mixed.level)), tmp_path)
    assert peak_dbtp == pytest.approx(-1, abs=0.1)
    assert mixed.loudness.limited_db == pytest.approx(20 * np.log10(1 + 2**0.5), abs=0.2)
    assert kept.level == Level()
    assert planned(surround, -20).loudness.after_lufs == pytest.approx(-20, abs=0.01)


def test_the_limiter_moves_nothing_and_has_no_seams() -> None:
    # Given noise over the ceiling, at the beginning and the end of which one sample stands out
    wave = noise(-20)[:, : 3 * RATE_HZ + 77].astype(np.float32)
    wave[:, [0, -1]] = 0.8
    level = Level(gain_db=6.0, ceiling_dbtp=-12.0)

    # When it is limited in blocks of a second, in small ones, and in one
    sizes = (RATE_HZ, 1111, wave.shape[1])
    found = [
        joined_blocks(levelled((wave[:, at : at + size] for at in range(0, wave.shape[1], size)), level))
        for size in sizes
    ]

    # Then it is the same each time, as long as before, and each sample is where it was
    assert [one.shape for one in found] == [wave.shape] * 3
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    correlations = [np.corrcoef(found[0][0, 100 + lag : lag - 100], wave[0, 100:-100])[0, 1] for lag in range(-3, 4)]
    assert int(np.argmax(correlations)) == 3
    assert np.abs(found[0][:, [0, -1]]).min() > 0.05
    assert np.abs(found[0]).max() == pytest.approx(10 ** (-12 / 20), rel=0.06)


@pytest.mark.long
def test_a_long_section_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    # Given ten minutes of noise that will be limited
    path = tmp_path / "long.mkv"
    pictures, sound = "color=gray:size=32x32:rate=1,trim=duration=600", "anoisesrc=r=8000:a=0.1:d=600"
    ffmpeg(*("-f", "lavfi", "-i", pictures, "-f", "lavfi", "-i", sound), "-c:v", "libx264", "-c:a", "flac", str(path))
    soundtrack = soundtrack_of(path, index=index_of(path))
    resident_bytes = []

    # When a minute is measured and rendered, and then all of it
    for seconds in (60, 600):
        section = soundtrack.section(0, seconds)
        plan = planned(section, -5)
        samples = sum(block.shape[1] for block in levelled(section, plan.level))
        assert (samples, plan.loudness.limited_db > 0) == (seconds * RATE_HZ, True)
        resident_bytes.append(peak_resident_bytes())

    # Then that needs no more room; its samples are 230 MB
    assert resident_bytes[1] - resident_bytes[0] < 32 << 20


def peak_resident_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
