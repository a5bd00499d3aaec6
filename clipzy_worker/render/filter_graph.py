"""Filters of FFmpeg in a row: one frame out for each that goes in, in order, some of them later."""

from collections.abc import Mapping, Sequence

import av.error
from av.filter import Graph
from av.filter.context import FilterContext
from av.video.frame import VideoFrame

Options = Mapping[str, object]

# Filters that need times get the number of the frame.
_TIME_BASE = "1/25"


class FilterGraph:
    """Build it with ``add``, then ``finish`` it, then ``push`` frames.

    All frames have the size, format, matrix and range that it is made for, in FFmpeg's numbers.
    """

    def __init__(self, *, width: int, height: int, pixel_format: str, matrix: int, color_range: int, threads: int):
        self._graph = Graph()
        self._graph.threads = threads
        self._matrix, self._range = matrix, color_range
        self._frames = 0
        self._last = self._graph.add(
            "buffer",
            video_size=f"{width}x{height}",
            pix_fmt=pixel_format,
            time_base=_TIME_BASE,
            pixel_aspect="1/1",
            colorspace=str(matrix),
            range=str(color_range),
        )

    def add(self, name: str, **options: object) -> None:
        """A filter behind those before."""
        self._last = self._after(self._last, name, options)

    def add_beneath(self, filters: Sequence[tuple[str, Options]]) -> None:
        """Lay the picture in the middle of a copy of itself that went through these filters."""
        self.add("split")
        whole, beneath = self._last, self._last
        for position, (name, options) in enumerate(filters):
            beneath = self._after(beneath, name, options, output=0 if position else 1)
        overlay = self._graph.add("overlay", x="(W-w)/2", y="(H-h)/2", format="yuv420")
        beneath.link_to(overlay, 0, 0)
        whole.link_to(overlay, 0, 1)
        self._last = overlay

    def _after(self, before: FilterContext, name: str, options: Options, *, output: int = 0) -> FilterContext:
        added = self._graph.add(name, **{key: str(value) for key, value in options.items()})
        before.link_to(added, output)
        return added

    def finish(self) -> None:
        """No filter can be added any more. Raises ``FFmpegError`` if they do not fit together."""
        self.add("buffersink")
        self._graph.configure()

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """The frames that are ready after it."""
        frame.colorspace, frame.color_range = self._matrix, self._range
        frame.pts = self._frames
        self._frames += 1
        self._graph.vpush(frame)
        return self._ready()

    def flush(self) -> list[VideoFrame]:
        """The rest of the frames. Nothing may be pushed any more."""
        self._graph.vpush(None)
        return self._ready()

    def _ready(self) -> list[VideoFrame]:
        frames = []
        while True:
            try:
                frames.append(self._graph.vpull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return frames
