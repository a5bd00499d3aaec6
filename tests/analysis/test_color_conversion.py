"""High dynamic range and wide gamuts look as the same scene does in standard range."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.analysis.conftest import Analyse
from tests.support.media import clips
from tests.support.media.color_difference import Numbers, ciede2000, hue_difference_degrees, lab_of

# The 24 patches of a ColorChecker, in sRGB: red, green, blue.
CHART = [
    (115, 82, 68), (194, 150, 130), (98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170),
    (214, 126, 44), (80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46),
    (56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149), (8, 133, 161),
    (243, 243, 242), (200, 200, 200), (160, 160, 160), (122, 122, 121), (85, 85, 85), (52, 52, 52),
]  # fmt: skip
COLUMNS, ROWS, PATCH = 6, 4, 60
COLORED_CHROMA = 5
"""From which on a colour has a hue."""

FROM_SRGB = "zscale=pin=bt709:tin={curve}:min=gbr:rin=full"
TARGETS = {
    "PQ": ("bt2020", "smpte2084", "2020_ncl", "bt2020", "smpte2084", "bt2020nc"),
    "HLG": ("bt2020", "arib-std-b67", "2020_ncl", "bt2020", "arib-std-b67", "bt2020nc"),
    "BT.2020 in standard range": ("bt2020", "{curve}", "2020_ncl", "bt2020", "bt709", "bt2020nc"),
    "Display P3": ("smpte432", "{curve}", "bt709", "smpte432", "bt709", "bt709"),
}
"""Primaries, curve and matrix by the names of zscale, and then by those of x265."""
BARS = "format=gbrp,zscale=pin=709:tin=709:min=gbr:p={0}:t={1}:m={2}:r=limited,format=yuv420p"
BT709 = (BARS.format("709", "709", "709"), "colorprim=bt709:transfer=bt709:colormatrix=bt709")
BT2020 = (BARS.format("2020", "bt2020-10", "2020_ncl"), "colorprim=bt2020:transfer=bt709:colormatrix=bt2020nc")


def chart_in(target: str, path: Path, *, curve: str = "iec61966-2-1", white_nits: int = 203) -> Path:
    """The chart in this colour space, as 10 bits of HEVC; ``curve`` decodes its levels to light."""
    p, t, m, *tags = (part.format(curve=curve) for part in TARGETS[target])
    raw = path.with_suffix(".rgb")
    raw.write_bytes(drawn().astype(np.uint8).tobytes())
    convert = f"{FROM_SRGB.format(curve=curve)}:p={p}:t={t}:m={m}:r=limited:npl={white_nits}"
    tagged = "log-level=error:colorprim={}:transfer={}:colormatrix={}".format(*tags)
    clips.ffmpeg(
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{COLUMNS * PATCH}x{ROWS * PATCH}", "-r", "25", "-i", str(raw),
        "-vf", f"loop=24:1,format=gbrp16le,{convert},format=yuv420p10le",
        "-c:v", "libx265", "-preset", "ultrafast", "-crf", "4",
        "-x265-params", tagged, str(path),
    )  # fmt: skip
    return path


def drawn() -> Numbers:
    """The chart as red, green, blue levels."""
    patches = np.clip(np.array(CHART), 0, 255).reshape(ROWS, COLUMNS, 3)
    return np.asarray(patches.repeat(PATCH, axis=0).repeat(PATCH, axis=1), np.float64)


def seen_in(poster: Path) -> Numbers:
    """The middle of each patch, in CIELAB."""
    picture = cv2.imread(str(poster))
    assert picture is not None
    patches = cv2.resize(picture, (COLUMNS * PATCH, ROWS * PATCH)).reshape(ROWS, PATCH, COLUMNS, PATCH, 3)
    inner = patches[:, PATCH // 4 : -PATCH // 4, :, PATCH // 4 : -PATCH // 4].astype(np.float64)
    return lab_of(np.round(inner.mean(axis=(1, 3))).astype(np.uint8))


def expected() -> Numbers:
    return lab_of(np.array(CHART, np.uint8)[:, ::-1])


@pytest.mark.parametrize("curve", ["iec61966-2-1", "bt709"])
@pytest.mark.parametrize("target", TARGETS)
def test_a_chart_has_the_colors_that_it_has_in_standard_range(
    target: str, curve: str, tmp_path: Path, analyse: Analyse
) -> None:
    """With each channel rolled off alone, and the curve of BT.709, the mean differences were 5 and 7 in PQ and HLG."""
    # Given a chart in another colour space, when it is analysed
    analyse(chart_in(target, tmp_path / "chart.mp4", curve=curve))
    # Then its poster has the colours of the chart
    seen = seen_in(tmp_path / "poster.jpg")
    assert ciede2000(expected(), seen).mean() < 4
    has_hue = np.hypot(expected()[:, 1], expected()[:, 2]) > COLORED_CHROMA
    assert hue_difference_degrees(expected(), seen)[has_hue].mean() < 5


def test_bars_have_the_colors_that_they_have_in_the_gamut_of_bt709(tmp_path: Path, analyse: Analyse) -> None:
    # Given the same bars in BT.709 and in BT.2020, when they are analysed
    seen = []
    for name, (convert, tags) in {"bt709": BT709, "bt2020": BT2020}.items():
        bars = ("-f", "lavfi", "-i", "smptehdbars=size=1280x720:rate=25:duration=0.2", "-vf", convert)
        clips.ffmpeg(*bars, "-c:v", "libx264", "-x264-params", tags, str(tmp_path / f"{name}.mp4"))
        analyse(tmp_path / f"{name}.mp4")
        seen.append(lab_of(np.asarray(cv2.imread(str(tmp_path / "poster.jpg")), dtype=np.uint8)[::4, ::4]))
    # Then they look alike
    difference = ciede2000(*seen).mean()
    assert difference < 0.7


@pytest.mark.parametrize("target", ["PQ", "HLG"])
def test_what_is_brighter_than_white_keeps_its_steps_and_hues(target: str, tmp_path: Path, analyse: Analyse) -> None:
    # Given a chart whose white is three times as bright as reference white, when it is analysed
    analyse(chart_in(target, tmp_path / "chart.mp4", white_nits=600))
    # Then its greys are all different, and the other colours have their hues
    seen = seen_in(tmp_path / "poster.jpg")
    assert np.all(np.diff(seen[-COLUMNS:, 0]) < -2), seen[-COLUMNS:, 0]
    has_hue = np.hypot(expected()[:, 1], expected()[:, 2]) > COLORED_CHROMA
    assert hue_difference_degrees(expected(), seen)[has_hue].mean() < 5


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0000),
        ((50, 2.5, 0), (58, 24, 15), 19.4535),
        ((22.7233, 20.0904, -46.6940), (23.0331, 14.9730, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_difference_is_that_of_the_published_pairs(
    one: tuple[float, ...], other: tuple[float, ...], difference: float
) -> None:
    assert ciede2000(np.array([one]), np.array([other])) == pytest.approx([difference], abs=1e-4)
