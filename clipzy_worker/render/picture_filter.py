"""Decoded frames to pictures of a rendition: upright, of its size, 8 bits of BT.709."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from av.video.frame import PictureType, VideoFrame

from clipzy_storage.models.clip_options import RenditionOptions
from clipzy_storage.models.clips import Reframe
from clipzy_worker.render.color_cube import cube_file
from clipzy_worker.render.filter_graph import FilterGraph
from clipzy_worker.render.frame_colors import FrameColors, colors_of, tag_with_output_colors
from clipzy_worker.render.picture_graph import FilterInput, picture_graph
from clipzy_worker.render.picture_layout import Size, layout
from clipzy_worker.render.pictures import SourceFrame


class PictureFilter:
    """Gives one picture for each frame that is pushed, in order; with interlaced frames the next push gives it.

    The frames of a video may change in size, orientation and colours. Those of another shape than ``shown_size``, at
    which the video is displayed, are fitted into it. The pictures have ``size``, and ``reframe`` says what they show.
    They may be the frames themselves; their stamps mean nothing.

    The methods raise ``OSError`` if a file cannot be written to ``out_directory``, where none is left.
    """

    def __init__(self, options: RenditionOptions, shown_size: Size, *, out_directory: Path, threads: int = 1) -> None:
        self._layout = layout(options, shown_size)
        self._out_directory, self._threads = out_directory, threads
        self._input: FilterInput | None = None
        self._graph: FilterGraph | None = None
        """None if there is nothing to do."""

    @property
    def size(self) -> Size:
        return self._layout.size

    @property
    def reframe(self) -> Reframe:
        return self._layout.reframe

    def push(self, frame: SourceFrame) -> list[VideoFrame]:
        """The pictures that are ready."""
        was_interlaced = self._input is not None and self._input.is_interlaced
        seen = FilterInput(frame.geometry, colors_of(frame.decoded), frame.decoded.interlaced_frame or was_interlaced)
        before: list[VideoFrame] = []
        if seen != self._input:
            before = self.flush()
            self._input, self._graph = seen, self._graph_for(seen)
        return before + _as_output(self._graph.push(frame.decoded) if self._graph else [frame.decoded])

    def flush(self) -> list[VideoFrame]:
        """The pictures that are still to come. More frames may be pushed after it."""
        graph, self._graph, self._input = self._graph, None, None
        return _as_output(graph.flush()) if graph else []

    def _graph_for(self, seen: FilterInput) -> FilterGraph | None:
        with _cube_for(seen.colors, self._out_directory) as cube:
            return picture_graph(seen, self._layout, cube=cube, threads=self._threads)


def _cube_for(colors: FrameColors, directory: Path) -> AbstractContextManager[Path | None]:
    if not colors.needs_cube:
        return nullcontext(None)
    return cube_file(directory, transfer=colors.transfer, primaries=colors.primaries)


def _as_output(frames: list[VideoFrame]) -> list[VideoFrame]:
    for frame in frames:
        tag_with_output_colors(frame)
        frame.pict_type = PictureType.NONE  # encoders obey it
    return frames
