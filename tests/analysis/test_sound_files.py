"""What is written of the audio for players and pages, its bass, and the room that long videos take."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_storage.models.job_config import SilenceOptions
from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND, Chunk
from clipzy_worker.analysers.audio.loudness import LoudnessMeter
from clipzy_worker.analysers.audio.silences import Silences
from clipzy_worker.analysers.audio.waveform import MAX_POINTS, Waveform
from clipzy_worker.analysers.audio.waveform_image import HEIGHT, WIDTH
from clipzy_worker.sandbox.output_checks import check_artifacts
from tests.support.media.sounds import audio_of, film, joined, measured, silence, tone


@pytest.mark.parametrize(("hz", "percent"), [(140, 100), (170, 0)])
def test_bass_is_what_lies_below_150_hz(hz: float, percent: float, tmp_path: Path) -> None:
    # Given a pure tone on an offset, which is inaudible
    path = film(tmp_path / "tone.mov", tone(3, -20, hz=hz) + 0.1)

    # When it is measured
    audio = audio_of(path)

    # Then it is all bass or none
    assert audio["bass_percent"] == pytest.approx(percent, abs=2)


def test_players_and_pages_get_their_files(tmp_path: Path) -> None:
    # Given a video of 4 s: a tone at half scale in its second second, whose channels cancel each other
    one = tone(1, -6.02, hz=997, channels=1)[0]
    wave = joined(silence(1), np.stack([one, -one]), silence(2))
    path = film(tmp_path / "film.mov", wave, pictures_seconds=4)

    # When it is measured
    result = measured(path)
    out_directory = tmp_path / "found"

    # Then the three files are listed, and are what they are said to be
    check_artifacts([ArtifactFile.model_validate(one) for one in result["artifacts"]], out_directory)
    kinds = {artifact["kind"]: artifact["file"] for artifact in result["artifacts"]}
    waveform = json.loads((out_directory / kinds["waveform"]).read_text())
    seconds_per_point = waveform["samples_per_pixel"] / waveform["sample_rate"]
    data = np.array(waveform["data"]).reshape(-1, 2)
    assert (waveform["version"], waveform["channels"], waveform["bits"]) == (2, 1, 8)
    assert len(data) == waveform["length"] == pytest.approx(4 / seconds_per_point, abs=1)
    sounding = np.flatnonzero(data[:, 1] > 10) * seconds_per_point
    assert (sounding.min(), sounding.max()) == pytest.approx((1, 2), abs=0.02)
    assert data.min() == pytest.approx(-64, abs=1)
    assert data.max() == pytest.approx(64, abs=1)
    _check_curves(json.loads((out_directory / kinds["curves"]).read_text()))
    picture = cv2.imread(str(out_directory / kinds["waveform_picture"]))
    assert picture is not None
    assert picture.shape == (HEIGHT, WIDTH, 3)
    middle = picture[HEIGHT // 2 - 20, :, 0].astype(int)  # blue of a row that only the audio reaches
    assert middle[WIDTH * 3 // 8] > middle[WIDTH // 8] + 30


def _check_curves(curves: dict[str, Any]) -> None:
    """Of 4 s with a tone of -6 LUFS in the second one."""
    assert curves["step_seconds"] == 0.1
    momentary, short_term = curves["momentary_lufs"], curves["short_term_lufs"]
    assert len(momentary) == len(short_term) == 40
    assert momentary[19] == pytest.approx(-6, abs=0.1)  # the window that ends at 2 s
    assert (momentary[8], momentary[29]) == (None, None)
    assert short_term[29] == pytest.approx(-6 - 4.77, abs=0.1)  # a third of the window that ends at 3 s


@pytest.mark.long
def test_twelve_hours_take_little_room() -> None:
    # Given the parts that remember, and twelve hours of audio in pieces of a minute
    hops = 60 * HOPS_PER_SECOND
    samples = tone(60, -20, rate_hz=4000, channels=1).astype(np.float32)
    meter, waveform, silences = LoudnessMeter(), Waveform(), Silences(SilenceOptions())
    tracemalloc.start()

    # When they have heard it
    for minute in range(12 * 60):
        chunk = Chunk(minute * hops, hops, 4000, ("FC",), samples)
        meter.add(chunk.first_hop, chunk.power.sum(axis=0).astype(float))
        waveform.process(chunk)
        silences.process(chunk)
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    # Then they hold a few megabytes, and a player gets no more points than of any video
    assert held_bytes < 16 << 20
    assert MAX_POINTS // 2 <= len(waveform.points(12 * 3600)) <= MAX_POINTS
    assert meter.integrated_lufs == pytest.approx(-23.7, abs=0.1)
