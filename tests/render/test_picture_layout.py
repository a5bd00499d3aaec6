"""Sizes of renditions, and what they show of the video."""

from fractions import Fraction
from itertools import product

import pytest

from clipzy_storage.models.clip_options import RenditionOptions
from clipzy_worker.decode.geometry import Geometry, Orientation
from clipzy_worker.render.picture_layout import layout


@pytest.mark.parametrize(
    ("shown", "options", "size", "mode", "kept"),
    [
        ((1920, 1080), {}, (1920, 1080), "none", 100),
        ((3840, 2160), {}, (1920, 1080), "none", 100),
        ((640, 360), {}, (640, 360), "none", 100),
        ((853, 481), {}, (852, 480), "none", 100),
        ((1080, 1920), {"long_side": 1280}, (720, 1280), "none", 100),
        ((1920, 1080), {"shape": "16:9"}, (1920, 1080), "none", 100),
        ((1920, 1080), {"shape": "9:16"}, (1080, 1920), "still", 31.64),
        ((640, 360), {"shape": "9:16"}, (404, 720), "still", 31.64),
        ((1920, 1080), {"shape": "1:1", "long_side": 1080}, (1080, 1080), "still", 56.25),
        ((1080, 1920), {"shape": "4:5"}, (1536, 1920), "still", 70.31),
        ((1920, 1080), {"shape": "9:16", "reframe": "fit"}, (1080, 1920), "fit", 100),
        ((320, 180), {"shape": "9:16", "reframe": "fit"}, (640, 1138), "fit", 100),
        ((640, 360), {"shape": "16:9", "reframe": "fit"}, (1280, 720), "none", 100),
        ((854, 480), {"shape": "16:9", "reframe": "fit"}, (1706, 960), "still", 99.92),
        ((4096, 2), {"long_side": 240}, (240, 2), "none", 100),
    ],
)
def test_size_and_what_is_kept(
    shown: tuple[int, int], options: dict[str, object], size: tuple[int, int], mode: str, kept: float
) -> None:
    found = layout(RenditionOptions.model_validate(options), shown)
    assert found.size == size
    assert (found.reframe.mode, found.reframe.kept_percent) == (mode, kept)


SIZES = [(1920, 1080), (1080, 1920), (854, 480), (641, 359), (720, 576), (2, 2), (1, 900), (8192, 16)]


@pytest.mark.parametrize("reframe", ["center", "fit"])
@pytest.mark.parametrize("shape", ["source", "16:9", "9:16", "1:1", "4:5"])
def test_every_frame_has_a_place_in_every_picture(shape: str, reframe: str) -> None:
    # Given pictures of any shape, and frames of any size, orientation and pixels
    for shown, stored, turns, aspect in product(SIZES, SIZES, (0, 1), (Fraction(1), Fraction(64, 45))):
        options = RenditionOptions.model_validate({"shape": shape, "reframe": reframe, "long_side": 720})
        found = layout(options, shown)
        # When one is placed
        placement = found.placement(Geometry(*stored, aspect, Orientation(turns)))
        # Then what is cut out is within the frame, and what is laid into the picture within that, and even
        upright = placement.scaled[::-1] if turns else placement.scaled
        for axis in (0, 1):
            assert 1 <= placement.cropped[axis] <= stored[axis]
            assert 0 <= placement.offset[axis] <= stored[axis] - placement.cropped[axis]
            assert 2 <= upright[axis] <= found.size[axis] <= 720
            assert upright[axis] % 2 == 0
            assert found.size[axis] % 2 == 0
