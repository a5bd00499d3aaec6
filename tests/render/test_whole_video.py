"""The whole video as a job renders it: every picture is that of the source, and so is every sample of the sound."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from clipzy_storage.models.clip_options import RenderOptions
from clipzy_storage.models.clips import Render
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.render.section import Footage
from clipzy_worker.render.sound import Soundtrack
from clipzy_worker.render.whole_video import render_whole_video
from clipzy_worker.sandbox.request import MediaRequest
from tests.render.test_clips import KINDS, SECONDS, make_source, stamps_of
from tests.support.media.frame_index import frame_index
from tests.support.media.rendered_files import lag_of, pictures_of, psnr_db, sound_of

SIZE, SEGMENT_SECONDS = (320, 180), 1.0


@dataclass(frozen=True)
class Rendered:
    source: Path
    output: Path
    render: Render
    segments: list[str]
    fractions: list[float]
    start_seconds: float
    """Where the first picture of the source is shown."""
    end_seconds: float


@pytest.fixture(scope="module", params=["25 mp4", "kept stamps", pytest.param("29.97 mkv", marks=pytest.mark.long)])
def rendered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """In three segments or more."""
    directory, kind = tmp_path_factory.mktemp("whole"), KINDS[request.param]
    source = make_source(directory, kind)
    media = MediaRequest(source, kind.suffix, directory, decoder_threads=2)
    index = frame_index(media)
    footage = Footage(
        media, index, Fraction(kind.rate), SIZE, Soundtrack(media, zero=index.zero), DecodedPixels(10**12)
    )
    options = RenderOptions.model_validate({"quality": "high", "frame_rate": kind.frame_rate})
    segments, fractions = list[str](), list[float]()
    render, artifact = render_whole_video(
        footage, options, on_fraction=fractions.append, on_segment=segments.append, segment_seconds=SEGMENT_SECONDS
    )
    return Rendered(
        source, directory / artifact.file, render, segments, fractions, index.seconds_of(0), index.end_seconds
    )


def test_every_picture_is_that_of_the_source(rendered: Rendered) -> None:
    found, source = pictures_of(rendered.output, size=SIZE), pictures_of(rendered.source, size=SIZE)
    assert len(found) == len(source) == rendered.render.frames
    assert len(rendered.segments) >= 3
    for number, picture in enumerate(found):
        same = psnr_db(picture, source[number])
        assert same > 30
        for neighbour in (number - 1, number + 1):
            if 0 <= neighbour < len(source):
                assert same > psnr_db(picture, source[neighbour]) + 10, number


def test_every_picture_has_its_time(rendered: Rendered) -> None:
    begins, found = stamps_of(rendered.source), stamps_of(rendered.output)
    tolerance = 1e-4 if rendered.render.frame_rate is None else 1.1e-3  # Matroska rounds to milliseconds
    assert found == pytest.approx([at - begins[0] for at in begins], abs=tolerance)


def test_the_sound_is_that_of_the_source(rendered: Rendered) -> None:
    sound, source = sound_of(rendered.output), sound_of(rendered.source)
    start = round(rendered.start_seconds * 48_000)
    assert sound.shape[1] == round(rendered.end_seconds * 48_000) - start
    for second in range(SECONDS):  # over every join
        around = slice(second * 48_000, (second + 1) * 48_000)
        assert abs(lag_of(sound[:, around], source[:, start:][:, around])) <= 1


def test_it_says_what_it_is(rendered: Rendered) -> None:
    render = rendered.render
    assert (render.width, render.height, render.video_codec, render.artifacts) == (*SIZE, "h264", ["output.mp4"])
    assert render.duration_seconds == pytest.approx(rendered.end_seconds - rendered.start_seconds, abs=1e-3)
    assert render.loudness is not None
    assert rendered.fractions == sorted(rendered.fractions)
    assert rendered.fractions[-1] == 1
