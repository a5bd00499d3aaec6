"""Fades where the audio is cut, and the mix of more than two channels."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from clipzy_storage.models.clip_options import RenditionOptions
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.render.fades import FADE_SECONDS
from clipzy_worker.render.section import Footage, levelled_sound
from tests.support.media.sound_sections import (
    joined_blocks,
    request_for,
    soundtrack_of,
)
from tests.support.media.sounds import RATE_HZ, film


def test_fades_are_at_cuts_alone(tmp_path: Path) -> None:
    # Given a sound that is 1 all the time
    soundtrack = soundtrack_of(film(tmp_path / "one.mov", np.ones((2, 2 * RATE_HZ)) * 0.5))

    # When it is cut out with and without fades, and in two parts that follow each other
    def cut(start_seconds: float, end_seconds: float, *, fade_in: bool, fade_out: bool) -> np.ndarray:
        return joined_blocks(soundtrack.section(start_seconds, end_seconds, fade_in=fade_in, fade_out=fade_out))

    plain, faded = cut(0.2, 1.5, fade_in=False, fade_out=False), cut(0.2, 1.5, fade_in=True, fade_out=True)
    parts = cut(0.2, 0.7, fade_in=True, fade_out=False), cut(0.7, 1.5, fade_in=False, fade_out=True)
    short = cut(0.2, 0.21, fade_in=True, fade_out=True)

    # Then it rises from nothing, and falls to nothing, in 8 ms, and is the same in between and over the seam
    fade = round(FADE_SECONDS * RATE_HZ)
    assert np.all(plain == 0.5)
    assert np.all(faded[:, fade:-fade] == 0.5)
    assert np.array_equal(faded, faded[:, ::-1])
    assert np.all(np.diff(faded[0, : fade + 1]) > 0)
    assert faded[0, [0, fade // 2, fade - 1]] == pytest.approx([0, 0.25, 0.5], abs=0.002)
    assert np.array_equal(np.concatenate(parts, axis=1), faded)
    assert short.shape == (2, 480)
    assert np.array_equal(short, short[:, ::-1])


@pytest.mark.parametrize(
    ("channel", "left", "right"),
    [(0, 1, 0), (1, 0, 1), (2, 0.7071, 0.7071), (3, 0, 0), (4, 0.7071, 0), (5, 0, 0.7071)],
)
def test_surround_is_mixed_by_the_standard(channel: int, left: float, right: float, tmp_path: Path) -> None:
    # Given 5.1 of which one channel sounds
    wave = np.zeros((6, RATE_HZ // 4))
    wave[channel] = 0.5
    soundtrack = soundtrack_of(film(tmp_path / "surround.mov", wave, layout="5.1", sound=("-c:a", "pcm_f32le")))

    # When it is rendered
    section = joined_blocks(soundtrack.section(0, 0.2))

    # Then it is heard where its loudspeaker stands
    assert soundtrack.channels == 6
    assert section[:, 5000] == pytest.approx([left / 2, right / 2], abs=1e-4)


def test_audio_that_is_cut_by_the_video_itself_is_faded(tmp_path: Path) -> None:
    # Given 2 s of a sound that is 0.5 all the time, beside pictures from 0 to 2 s, and beside some from 0.5 s to 1.5 s
    path = film(tmp_path / "one.mov", np.ones((2, 2 * RATE_HZ)) * 0.5)
    soundtrack, limits = soundtrack_of(path), request_for(path).limits
    sounds = []
    for begin, end in ((0.0, 2.0), (0.5, 1.5)):
        index = FrameIndex()
        index.add(begin)
        index.finish(zero=Fraction(0), end_seconds=end)
        decoded = DecodedPixels(limits.max_decoded_pixels)
        footage = Footage(request_for(path), index, Fraction(1), (32, 32), soundtrack, decoded)

        # When the whole video is rendered
        blocks, _ = levelled_sound(footage, range(1), RenditionOptions())
        sounds.append(joined_blocks(blocks))

    # Then only the sound that goes on on both sides is faded
    assert np.all(sounds[0] == 0.5)
    assert sounds[1].shape == (2, RATE_HZ)
    assert np.abs(sounds[1][:, [0, -1]]).max() < 0.01
