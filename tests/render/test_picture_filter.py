"""Pictures of a rendition: whatever the frames are stored as, they look as the source does, in BT.709 of 8 bits."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame

from clipzy_storage.models.clip_options import RenditionOptions
from clipzy_worker.analysers.base import Pixels
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.geometry import Geometry, Orientation
from clipzy_worker.render.picture_filter import PictureFilter
from clipzy_worker.render.pictures import SourceFrame, source_frames
from clipzy_worker.sandbox.request import MediaRequest
from tests.analysis import test_color_conversion as charts
from tests.render.test_frames import all_frames, luma_of, psnr_db
from tests.support.media import geometries
from tests.support.media.clips import ffmpeg
from tests.support.media.color_difference import Numbers, ciede2000, lab_of
from tests.support.media.frame_index import frame_index

FOOTAGE = Path(__file__).parents[1] / "footage"
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4")


def source_of(path: Path, frames: range | None = None) -> Iterator[SourceFrame]:
    request = MediaRequest(path, path.suffix[1:], path.parent)
    index = frame_index(request)
    for _, frame in source_frames(request, index, frames or range(len(index)), decoded=DecodedPixels(10**12)):
        yield frame


def pictures_of(path: Path, shown_size: tuple[int, int], **options: Any) -> list[VideoFrame]:
    one = PictureFilter(RenditionOptions(**options), shown_size, out_directory=path.parent)
    pictures = [picture for frame in source_of(path) for picture in one.push(frame)] + one.flush()
    for picture in pictures:
        assert (picture.width, picture.height) == one.size
        tags = picture.colorspace, picture.color_range, picture.color_primaries, picture.color_trc
        assert (picture.format.name, *tags) == ("yuv420p", 1, 1, 1, 1)
    return pictures


def seen(picture: VideoFrame) -> Pixels:
    """Blue, green, red, as a player that obeys the tags shows it."""
    return np.asarray(picture.to_ndarray(format="bgr24", src_colorspace="ITU709"), np.uint8)


def patches_of(picture: VideoFrame) -> Numbers:
    """The middle of each patch of the chart, in CIELAB."""
    columns, rows, side = charts.COLUMNS, charts.ROWS, charts.PATCH
    patches = cv2.resize(seen(picture), (columns * side, rows * side)).reshape(rows, side, columns, side, 3)
    inner = patches[:, side // 4 : -side // 4, :, side // 4 : -side // 4].astype(np.float64)
    return lab_of(np.round(inner.mean(axis=(1, 3))).astype(np.uint8))


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chart") / "chart.png"
    cv2.imwrite(str(path), charts.drawn()[..., ::-1].astype(np.uint8))
    return path


TAGGED = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709")
# By name: the suffix, the filters from RGB, and the coding.
STANDARD = {
    "untagged, small: BT.601": ("mp4", "scale=out_color_matrix=bt601,format=yuv420p", X264),
    "untagged, large: BT.709": ("mp4", "scale=1080:720:out_color_matrix=bt709,format=yuv420p", X264),
    "BT.709": ("mp4", "scale=out_color_matrix=bt709,format=yuv420p", (*X264, *TAGGED)),
    "full range, 10 bits": (
        "mp4", "scale=out_color_matrix=bt709:out_range=full,format=yuv420p10le",
        (*X264, *TAGGED, "-color_range", "pc"),
    ),
    "motion JPEG": ("avi", "scale=out_range=full,format=yuvj420p", ("-c:v", "mjpeg", "-q:v", "1")),
    "4:2:2, 10 bits": ("mov", "scale=out_color_matrix=bt709,format=yuv422p10le", ("-c:v", "prores_ks", *TAGGED)),
    "4:4:4": ("mp4", "scale=out_color_matrix=bt709,format=yuv444p", (*X264, *TAGGED)),
    "RGB": ("mkv", "format=gbrp", ("-c:v", "ffv1")),
}  # fmt: skip


@pytest.mark.parametrize("name", STANDARD)
def test_colors_are_those_of_the_source(name: str, chart: Path, tmp_path: Path) -> None:
    # Given a chart in this format
    suffix, graph, coding = STANDARD[name]
    path = tmp_path / f"chart.{suffix}"
    graph += ",setparams=colorspace=unknown" if "untagged" in name else ""
    ffmpeg("-loop", "1", "-i", str(chart), "-frames:v", "2", "-vf", graph, *coding, str(path))
    # When pictures are made of it
    shown_size = (1080, 720) if "large" in name else (360, 240)
    picture = pictures_of(path, shown_size)[0]
    # Then its colours are those of the chart
    assert ciede2000(charts.expected(), patches_of(picture)).mean() < 1


@pytest.mark.parametrize("target", charts.TARGETS)
def test_wide_colors_become_those_of_a_standard_screen(target: str, tmp_path: Path) -> None:
    # Given the chart in high dynamic range, or in a wide gamut
    path = charts.chart_in(target, tmp_path / "chart.mp4")
    # When pictures are made of it
    picture = pictures_of(path, (360, 240))[0]
    # Then its colours are those of the chart, and the table of colours is removed
    assert ciede2000(charts.expected(), patches_of(picture)).mean() < 4
    assert not list(tmp_path.glob("*.cube"))


def test_frames_that_are_pictures_already_are_passed_through(tmp_path: Path) -> None:
    # Given a film of 8 bits in BT.709 at the size that is asked for
    path = tmp_path / "film.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=320x180:duration=0.2", "-pix_fmt", "yuv420p", *X264, *TAGGED, str(path))
    one = PictureFilter(RenditionOptions(), (320, 180), out_directory=tmp_path)
    # When its frames are pushed, Then they come back, and the encoder is free to choose their types
    for frame in source_of(path):
        [picture] = one.push(frame)
        assert picture is frame.decoded
        assert (picture.pict_type, picture.color_primaries) == (0, 1)
    assert one.reframe.mode == "none"


@pytest.mark.parametrize("field", ["top", "bottom"])
def test_each_interlaced_frame_becomes_the_picture_of_its_first_field(field: str, tmp_path: Path) -> None:
    # Given 40 frames of quick movement as the fields of 20
    film = FOOTAGE / "rodents.mp4"
    graph = f"trim=end_frame=40,tinterlace=interleave_{field},setfield={field[0]}ff"
    path = tmp_path / "fields.mkv"
    coding = ("-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ildct+ilme", "-r", "12", *TAGGED)
    ffmpeg("-i", str(film), "-vf", graph, *coding, str(path))
    # When pictures are made of them
    pictures = pictures_of(path, (640, 360))
    # Then there is one for each frame, of the first of its moments
    assert len(pictures) == 20
    truth = all_frames(film)
    for number in (0, 1, 19):
        at_moment, *others = (
            psnr_db(luma_of(pictures[number]), truth[2 * number + step]) for step in (0, 1, -1) if number or step >= 0
        )
        assert at_moment > 35
        assert at_moment > max(others) + 2


def test_no_frame_is_lost_where_interlaced_frames_change_their_size(tmp_path: Path) -> None:
    # Given interlaced frames of two sizes
    frames = []
    for size in ("320x180", "160x90"):
        path = tmp_path / f"{size}.mkv"
        source = f"testsrc2=size={size}:duration=0.2,setfield=tff"
        ffmpeg("-f", "lavfi", "-i", source, "-c:v", "mpeg2video", "-flags", "+ildct+ilme", str(path))
        frames += list(source_of(path))
    # When one filter makes pictures of them, Then each has its own
    one = PictureFilter(RenditionOptions(), (320, 180), out_directory=tmp_path)
    assert len([picture for frame in frames for picture in one.push(frame)] + one.flush()) == len(frames) == 10


@pytest.mark.parametrize("name", geometries.ORIENTATIONS)
def test_pictures_are_upright(name: str, tmp_path: Path) -> None:
    # Given a chart with this matrix
    path = geometries.chart(tmp_path / "chart.mp4")
    geometries.with_matrix(path, geometries.ORIENTATIONS[name])
    expected = geometries.as_ffmpeg_shows(path)
    # When pictures are made of it, Then they are as ffmpeg shows it
    size = expected.shape[1], expected.shape[0]
    picture = seen(pictures_of(path, size)[0])
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(float) - expected).mean() < 2


def test_pixels_become_square(tmp_path: Path) -> None:
    path = tmp_path / "wide.mp4"
    ffmpeg("-i", str(geometries.chart(tmp_path / "square.mp4")), "-vf", "setsar=2", *X264, str(path))
    picture = seen(pictures_of(path, (640, 180))[0])
    assert picture.shape == (180, 640, 3)
    assert np.argmax(picture[45, :, 1] > 128) == pytest.approx(320, abs=2)  # where green begins


def test_an_odd_row_and_column_are_cut_off_and_nothing_is_scaled(tmp_path: Path) -> None:
    # Given a film of odd size
    path = tmp_path / "odd.mkv"
    source = "testsrc2=size=161x91:duration=0.2,noise=alls=20,format=yuv420p"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "ffv1", *TAGGED, str(path))
    # When pictures are made of it, Then they are its frames but for that
    picture = pictures_of(path, (161, 91))[0]
    assert np.array_equal(luma_of(picture), all_frames(path)[0][:90, :160])


def test_the_middle_of_a_wide_film_is_enlarged_to_a_standing_one(tmp_path: Path) -> None:
    # Given a film, and the middle of it as ffmpeg cuts it out
    path, standing = tmp_path / "film.mkv", tmp_path / "standing.mkv"
    ffmpeg("-i", str(FOOTAGE / "bird.mp4"), "-frames:v", "1", "-c:v", "ffv1", *TAGGED, str(path))
    ffmpeg("-i", str(path), "-vf", "crop=202:360,scale=404:720:flags=bicubic", "-c:v", "ffv1", str(standing))
    # When pictures of that shape are made, Then they are that middle
    picture = pictures_of(path, (640, 360), shape="9:16")[0]
    assert psnr_db(luma_of(picture), all_frames(standing)[0][: picture.height, : picture.width]) > 40


def test_a_film_is_fitted_onto_a_blurred_copy_of_itself(tmp_path: Path) -> None:
    # Given a chart, whose left half is red and white, and whose right half is green and blue
    path = geometries.chart(tmp_path / "chart.mp4")
    # When it is fitted into a standing picture
    picture = seen(pictures_of(path, (320, 180), shape="9:16", reframe="fit")[0])
    # Then all of it is in the middle, twice as large
    height, width = picture.shape[:2]
    assert (width, height) == (640, 1138)
    middle = cv2.resize(picture[(height - 360) // 2 :][:360], (16, 9), interpolation=cv2.INTER_AREA)
    expected = cv2.resize(geometries.as_ffmpeg_shows(path), (16, 9), interpolation=cv2.INTER_AREA)
    assert np.abs(middle.astype(float) - expected).mean() < 8
    # And above it are its colours, darker
    left, right = picture[100, 40].astype(int), picture[100, -40].astype(int)
    assert 100 < left[2] < 200 > left[1] + 80
    assert 100 < right[1] < 200 > right[2] + 80


def test_frames_of_another_size_are_fitted_into_the_picture(tmp_path: Path) -> None:
    # Given a call: small, then large, then standing
    vp8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "400k")
    sizes = ("160x90", "320x180", "180x320")
    parts = [geometries.chart(tmp_path / f"{size}.webm", *vp8, size=size, seconds=0.2) for size in sizes]
    path = geometries.joined(parts, tmp_path / "call.webm")
    # When pictures are made of it
    small, large, standing = (seen(picture) for picture in pictures_of(path, (320, 180))[2::5])
    # Then the small frames fill them, and the standing ones stand in the middle, with black beside
    assert np.abs(small.astype(float) - large).mean() < 8
    lit = np.flatnonzero(standing.max(axis=(0, 2)) > 60)
    assert (lit[0], lit[-1]) == (pytest.approx(109, abs=3), pytest.approx(210, abs=3))
    assert np.abs(cv2.resize(standing[:, 110:210], (320, 180)).astype(float) - large).mean() < 16


@pytest.mark.parametrize("pixels", ["yuv411p", "yuv440p", "yuva444p12le", "gbrap16le", "gray10le", "pal8", "bgr0"])
def test_frames_of_any_format_and_size_have_a_picture(pixels: str, tmp_path: Path) -> None:
    # Given frames of this format, turned or not, down to a single column
    sizes, turns, shapes = (
        ((65, 47), (7, 5), (1, 3)),
        (0, 1),
        (("source", "center"), ("9:16", "center"), ("1:1", "fit")),
    )
    for (width, height), turned, (shape, reframe) in product(sizes, turns, shapes):
        frame = SourceFrame(
            VideoFrame(width, height, pixels), Geometry(width, height, Fraction(1), Orientation(turned))
        )
        # When one is filtered, Then there is one picture of the size
        options = RenditionOptions.model_validate({"shape": shape, "reframe": reframe})
        one = PictureFilter(options, (64, 48), out_directory=tmp_path)
        [picture] = one.push(frame) + one.flush()
        assert (picture.width, picture.height, picture.format.name) == (*one.size, "yuv420p")
