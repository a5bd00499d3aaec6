"""The sprite sheet: frames at even steps, with the WebVTT map by which players show them over their seek bar."""

from pathlib import Path

import cv2
import numpy as np

from clipzy_storage.models.analysis import ArtifactFile
from clipzy_worker.analysers.base import Frame, Pixels
from clipzy_worker.analysers.images.jpeg import write_jpeg

SHEET_FILE = "sprites.jpg"
MAP_FILE = "sprites.vtt"
MAX_TILES = 200
_FIRST_STEP_SECONDS = 1.0
_COLUMNS = 10
_ROUNDING_SECONDS = 1e-6


class Sprites:
    """A ``FrameAnalyser``; ``artifacts`` lists its two files after ``finish``. Raises ``OSError``.

    One tile every second, or every two, four, … seconds for a video so long that there would be over 200. It shows the
    frame that is displayed then; before the first frame that one, and after the last that.
    """

    def __init__(self, out_directory: Path) -> None:
        self.artifacts: list[ArtifactFile] = []
        self._out_directory = out_directory
        self._step_seconds = _FIRST_STEP_SECONDS
        self._tiles: list[Pixels] = []
        self._latest: Frame | None = None

    def process(self, frame: Frame) -> None:
        self._latest = frame
        self._repeat_latest(until_seconds=frame.until_seconds)

    def finish(self, end_seconds: float) -> None:
        self._repeat_latest(until_seconds=end_seconds)
        if not self._tiles:
            return
        write_jpeg(self._out_directory / SHEET_FILE, _sheet(self._tiles))
        (self._out_directory / MAP_FILE).write_text(
            web_vtt(len(self._tiles), self._tile_size(), step_seconds=self._step_seconds, end_seconds=end_seconds)
        )
        self.artifacts = [
            ArtifactFile(file=SHEET_FILE, kind="sprite", content_type="image/jpeg"),
            ArtifactFile(file=MAP_FILE, kind="sprite_map", content_type="text/vtt"),
        ]

    def _repeat_latest(self, *, until_seconds: float) -> None:
        while self._latest is not None and len(self._tiles) * self._step_seconds < until_seconds - _ROUNDING_SECONDS:
            self._tiles.append(self._latest.small)
            if len(self._tiles) > MAX_TILES:
                self._tiles = self._tiles[::2]
                self._step_seconds *= 2

    def _tile_size(self) -> tuple[int, int]:
        height, width = self._tiles[0].shape[:2]
        return width, height


def web_vtt(count: int, size: tuple[int, int], *, step_seconds: float, end_seconds: float) -> str:
    """One cue per tile: the time that it represents, and its place on the sheet."""
    width, height = size
    cues = ["WEBVTT\n"]
    for index in range(count):
        start = index * step_seconds
        end = end_seconds if index == count - 1 else start + step_seconds
        if end > start:
            x, y = index % _COLUMNS * width, index // _COLUMNS * height
            cues.append(f"{_timestamp(start)} --> {_timestamp(end)}\n{SHEET_FILE}#xywh={x},{y},{width},{height}\n")
    return "\n".join(cues)


def _sheet(tiles: list[Pixels]) -> Pixels:
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // _COLUMNS)
    sheet = np.zeros((rows * height, min(len(tiles), _COLUMNS) * width, 3), np.uint8)
    for index, tile in enumerate(tiles):
        y, x = index // _COLUMNS * height, index % _COLUMNS * width
        sheet[y : y + height, x : x + width] = (
            tile if tile.shape == tiles[0].shape else cv2.resize(tile, (width, height))
        )
    return sheet


def _timestamp(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"
