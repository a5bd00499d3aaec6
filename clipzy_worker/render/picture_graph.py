"""Which filters make a picture of frames of one kind."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from clipzy_worker.decode.geometry import UPRIGHT, Geometry, Orientation
from clipzy_worker.render.filter_graph import FilterGraph, Options
from clipzy_worker.render.frame_colors import OUTPUT_FORMAT, FrameColors
from clipzy_worker.render.picture_layout import Layout, Size

# FFmpeg refuses planes of chroma below 3 columns or 4 lines.
_MIN_DEINTERLACED_PIXELS = 16
_SCALING = "bicubic+accurate_rnd+full_chroma_int"
_BT709 = {"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "range": "tv"}
# What lies beneath a picture that does not fill its shape: small, since that costs little and is blurred already.
_BLURRED_AT_RATIO = Fraction(1, 8)
_BLUR_SIGMA_PIXELS = 4
_DARKENED = {"y": "16+(val-16)*0.6", "u": "128+(val-128)*0.6", "v": "128+(val-128)*0.6"}


@dataclass(frozen=True)
class FilterInput:
    """A kind of frames. Of a video with interlaced frames it also has those that are not."""

    geometry: Geometry
    colors: FrameColors
    is_interlaced: bool


def picture_graph(seen: FilterInput, layout: Layout, *, cube: Path | None, threads: int) -> FilterGraph | None:
    """The filters that make a picture of a frame; None if it is one. ``cube`` is the table of its colours, if needed.

    Raises ``FFmpegError`` if there is not enough memory for them.
    """
    geometry, colors, placement = seen.geometry, seen.colors, layout.placement(seen.geometry)
    stored = geometry.stored_width, geometry.stored_height
    upright = placement.scaled[::-1] if geometry.is_turned else placement.scaled
    is_converted = placement.cropped != placement.scaled or not colors.are_those_of_output
    is_whole = placement.cropped == stored and upright == layout.size and geometry.orientation == UPRIGHT
    if is_whole and not is_converted and not seen.is_interlaced:
        return None
    graph = _graph(seen, threads)
    if placement.cropped != stored:
        (width, height), (x, y) = placement.cropped, placement.offset
        graph.add("crop", w=width, h=height, x=x, y=y, exact=1)
    if is_converted:
        _add_conversion(graph, placement.scaled, cube)
    for name, options in _turns(geometry.orientation):
        graph.add(name, **options)
    if upright != layout.size:
        _add_surroundings(graph, upright, layout)
    graph.add("setparams", **_BT709)
    graph.add("sidedata", mode="delete")
    graph.finish()
    return graph


def _graph(seen: FilterInput, threads: int) -> FilterGraph:
    geometry, colors = seen.geometry, seen.colors
    graph = FilterGraph(
        width=geometry.stored_width,
        height=geometry.stored_height,
        pixel_format=colors.format,
        matrix=colors.matrix,
        color_range=colors.range,
        threads=threads,
    )
    if seen.is_interlaced and min(geometry.stored_width, geometry.stored_height) >= _MIN_DEINTERLACED_PIXELS:
        graph.add("bwdif", mode="send_frame", deint="interlaced")
    return graph


def _add_conversion(graph: FilterGraph, size: Size, cube: Path | None) -> None:
    width, height = size
    to_output = {"flags": _SCALING, "out_color_matrix": "bt709", "out_range": "limited"}
    if cube is None:
        graph.add("scale", w=width, h=height, **to_output)
    else:
        # In 16 bits: the scaler is slower in fewer, and steps would be seen.
        graph.add("scale", w=width, h=height, flags=_SCALING)
        graph.add("format", pix_fmts="gbrp16le")
        graph.add("lut3d", file=cube, interp="tetrahedral")
        graph.add("scale", **to_output)
    graph.add("format", pix_fmts=OUTPUT_FORMAT)


def _turns(orientation: Orientation) -> list[tuple[str, Options]]:
    mirrored: list[tuple[str, Options]] = [("hflip", {})] if orientation.is_mirrored else []
    match orientation.quarter_turns:
        case 1:
            return [*mirrored, ("transpose", {"dir": "cclock"})]
        case 2:
            return [*mirrored, ("hflip", {}), ("vflip", {})]
        case 3:
            return [*mirrored, ("transpose", {"dir": "clock"})]
    return mirrored


def _add_surroundings(graph: FilterGraph, upright: Size, layout: Layout) -> None:
    width, height = layout.size
    if not layout.is_fit:
        graph.add("pad", w=width, h=height, x="(ow-iw)/2", y="(oh-ih)/2", color="black")
        return
    scale = max(Fraction(width, upright[0]), Fraction(height, upright[1]))
    small = {"w": max(int(width * _BLURRED_AT_RATIO), 2), "h": max(int(height * _BLURRED_AT_RATIO), 2)}
    graph.add_beneath(
        [
            ("crop", {"w": max(int(width / scale), 2), "h": max(int(height / scale), 2)}),
            ("scale", {**small, "flags": "area"}),
            ("gblur", {"sigma": _BLUR_SIGMA_PIXELS}),
            ("lutyuv", _DARKENED),
            ("scale", {"w": width, "h": height, "flags": "bilinear"}),
        ]
    )
