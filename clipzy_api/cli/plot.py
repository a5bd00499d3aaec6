"""`clipzy plot`: draws the timeline of a job as an SVG image: shots, motion, loudness, speech and beats."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click

from clipzy_api.cli.display import print_json
from clipzy_api.cli.front_end import front_end

# Layout, in pixels.
WIDTH = 1200
_MARGIN_LEFT, _MARGIN_RIGHT = 84, 16
_SHOT_HEIGHT, _CURVE_HEIGHT, _SPAN_HEIGHT, _BEAT_HEIGHT = 56, 60, 10, 22
_MIN_LABELLED_WIDTH = 16

_BACKGROUND, _LANE, _TEXT, _NO_COLOR = "#14171c", "#1c2027", "#d6d9de", "#3a414c"
_CURVE_LINE, _CURVE_AREA = "#7fd1ae", "#2b6e58"
_SPEECH, _SILENCE = "#c792ea", "#6b7686"
_TRANSITION_COLORS = {"fade": "#e0b341", "dissolve": "#5fb3d4"}
_BEAT_COLORS = {"bass": "#d9534f", "mid": "#e0b341", "treble": "#5fb3d4"}
_CAMERA_SYMBOLS: dict[tuple[str, str | None], str] = {
    ("pan", "left"): "←",
    ("pan", "right"): "→",
    ("tilt", "up"): "↑",
    ("tilt", "down"): "↓",
    ("zoom", "in"): "⊕",
    ("zoom", "out"): "⊖",
    ("handheld", None): "≈",
}

_MAX_LUFS, _MIN_LUFS = 0.0, -50.0
_MAX_CURVE_POINTS = 1200
_MAX_TICKS = 14
_TICK_SECONDS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)


def plot(job_id: str, path: Path | None, *, as_json: bool) -> int:
    """Write the image and print its path.

    Raises:
        click.ClickException: the job has no result, the front end cannot be reached, or the file cannot be written.
    """
    with front_end() as (client, _):
        output = client.result_document(job_id)
        names = {artifact["name"] for artifact in output["artifacts"]}

        def curve(name: str) -> dict[str, Any] | None:
            return client.read_json(job_id, name) if name in names else None

        image = timeline(output, motion=curve("motion.json"), loudness=curve("loudness.json"))
    path = path or Path(f"{output['job_id']}.svg")
    try:
        path.write_text(image, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}.") from error
    if as_json:
        print_json({"job_id": output["job_id"], "file": str(path)})
    else:
        click.echo(path)
    return 0


def timeline(output: dict[str, Any], *, motion: dict[str, Any] | None, loudness: dict[str, Any] | None) -> str:
    """The SVG of an ``output.json``, with the curves of its artifacts, if it has them."""
    return _Timeline(output, motion, loudness).draw()


class _Timeline:
    """Draws one lane below the other; ``_y`` is where the next one begins."""

    def __init__(self, output: dict[str, Any], motion: dict[str, Any] | None, loudness: dict[str, Any] | None) -> None:
        self._output, self._motion, self._loudness = output, motion, loudness
        self._seconds = max(float(output["source"]["duration_seconds"]), 1e-3)
        self._svg = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", width=str(WIDTH))
        self._y = 0

    def draw(self) -> str:
        background = self._add("rect", x=0, y=0, width=WIDTH, height=0, fill=_BACKGROUND)
        self._draw_title()
        self._draw_shots()
        self._draw_motion()
        self._draw_audio()
        self._draw_ruler()
        for element in (background, self._svg):
            element.set("height", str(self._y))
        self._svg.set("viewBox", f"0 0 {WIDTH} {self._y}")
        return ElementTree.tostring(self._svg, encoding="unicode") + "\n"

    def _draw_title(self) -> None:
        source, audio = self._output["source"], self._output.get("audio") or {}
        facts = [f"{source['width']}x{source['height']}", f"{source['frame_rate']:g} fps", f"{self._seconds:.1f} s"]
        if audio.get("integrated_lufs") is not None:
            facts.append(f"{audio['integrated_lufs']:.1f} LUFS")
        if audio.get("tempo_bpm") is not None:
            facts.append(f"{audio['tempo_bpm']:.0f} bpm")
        self._text(_MARGIN_LEFT, 26, str(source["filename"])[:80], size=15)
        self._text(WIDTH - _MARGIN_RIGHT, 26, "  ·  ".join(facts), anchor="end")
        self._y = 42

    def _draw_shots(self) -> None:
        top = self._add_lane("shots", _SHOT_HEIGHT)
        for shot in self._output["shots"]:
            x = self._x(shot["start_seconds"])
            width = self._x(shot["end_seconds"]) - x
            self._draw_colors(x, top, width, (shot.get("color") or {}).get("dominant") or [])
            transition_color = _TRANSITION_COLORS.get(shot["transition"], _BACKGROUND)
            self._add("rect", x=x - 1, y=top, width=2, height=_SHOT_HEIGHT, fill=transition_color)
            if width > _MIN_LABELLED_WIDTH:
                self._text(x + 6, top + 14, str(shot["index"]), color="#ffffff")
                self._text(x + 6, top + 50, _camera_symbol(shot), color="#ffffff", size=15)

    def _draw_colors(self, x: float, top: float, width: float, dominant: Sequence[dict[str, Any]]) -> None:
        """The dominant colours of a shot on top of each other, each as high as its share."""
        width = max(width, 0.5)
        if not dominant:
            self._add("rect", x=x, y=top, width=width, height=_SHOT_HEIGHT, fill=_NO_COLOR)
        total, y = sum(color["share"] for color in dominant), float(top)
        for color in dominant:
            height = _SHOT_HEIGHT * color["share"] / total
            self._add("rect", x=x, y=y, width=width, height=height + 0.5, fill=color["hex"])
            y += height

    def _draw_motion(self) -> None:
        if self._motion:
            levels = [percent / 100 for percent in self._motion["intensity"]]
            self._draw_curve(self._add_lane("motion", _CURVE_HEIGHT), self._motion["step_seconds"], levels)

    def _draw_audio(self) -> None:
        audio = self._output.get("audio")
        if audio is None:
            return
        if self._loudness:
            top = self._add_lane("loudness", _CURVE_HEIGHT)
            levels = [_loudness_level(lufs) for lufs in self._loudness["momentary_lufs"]]
            self._draw_curve(top, self._loudness["step_seconds"], levels)
            if audio["integrated_lufs"] is not None:
                y = top + _CURVE_HEIGHT * (1 - _loudness_level(audio["integrated_lufs"]))
                dashed = {"stroke": _TEXT, "stroke-dasharray": "4 4"}
                self._add("line", x1=_MARGIN_LEFT, x2=WIDTH - _MARGIN_RIGHT, y1=y, y2=y, **dashed)
        self._draw_spans("speech", audio["speech"], _SPEECH)
        self._draw_spans("silence", audio["silences"], _SILENCE)
        self._draw_beats(audio["beats"])

    def _draw_spans(self, name: str, spans: Iterable[dict[str, float]], color: str) -> None:
        top = self._add_lane(name, _SPAN_HEIGHT)
        for span in spans:
            x, end = self._x(span["start_seconds"]), self._x(span["end_seconds"])
            self._add("rect", x=x, y=top, width=max(end - x, 1), height=_SPAN_HEIGHT, fill=color, rx=2)

    def _draw_beats(self, beats: Iterable[dict[str, Any]]) -> None:
        """A line for each beat, the longer the more confident."""
        bottom = self._add_lane("beats", _BEAT_HEIGHT) + _BEAT_HEIGHT
        for beat in beats:
            x, height = self._x(beat["time_seconds"]), 6 + 16 * beat["confidence"]
            stroke = {"stroke": _BEAT_COLORS[beat["band"]], "stroke-width": 1.5}
            self._add("line", x1=x, x2=x, y1=bottom - height, y2=bottom, **stroke)

    def _draw_ruler(self) -> None:
        self._y += 6
        tick_seconds = next((step for step in _TICK_SECONDS if self._seconds / step <= _MAX_TICKS), _TICK_SECONDS[-1])
        for number in range(int(self._seconds / tick_seconds) + 1):
            x = self._x(number * tick_seconds)
            self._add("line", x1=x, x2=x, y1=self._y, y2=self._y + 5, stroke=_TEXT)
            self._text(x, self._y + 18, _clock(number * tick_seconds), anchor="middle")
        self._y += 28

    def _draw_curve(self, top: float, step_seconds: float, levels: Sequence[float]) -> None:
        """A curve of levels from 0 to 1, of which the peaks are kept if there are too many."""
        points_per_peak = max(1, -(-len(levels) // _MAX_CURVE_POINTS))
        peaks = [max(levels[start : start + points_per_peak]) for start in range(0, len(levels), points_per_peak)]
        if not peaks:
            return
        # Each level holds for its step, and the last one for what is left of the video.
        until_seconds = len(levels) * step_seconds
        until_seconds = self._seconds if self._seconds - until_seconds < step_seconds else until_seconds
        starts = [number * points_per_peak * step_seconds for number in range(len(peaks))]
        xs = [self._x(seconds) for seconds in (*starts, until_seconds)]
        ys = [top + _CURVE_HEIGHT * (1 - min(level, 1.0)) for level in (*peaks, peaks[-1])]
        line = [f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True)]
        base = top + _CURVE_HEIGHT
        area = " ".join([f"{xs[0]:.1f},{base:.1f}", *line, f"{xs[-1]:.1f},{base:.1f}"])
        self._add("polygon", points=area, fill=_CURVE_AREA)
        self._add("polyline", points=" ".join(line), fill="none", stroke=_CURVE_LINE)

    def _add_lane(self, name: str, height: int) -> int:
        """Add a lane with its name, and return its top."""
        top = self._y + 8
        self._y = top + height
        self._text(_MARGIN_LEFT - 10, top + height / 2 + 4, name, anchor="end")
        width = WIDTH - _MARGIN_LEFT - _MARGIN_RIGHT
        self._add("rect", x=_MARGIN_LEFT, y=top, width=width, height=height, fill=_LANE)
        return top

    def _x(self, seconds: float) -> float:
        share = min(max(seconds / self._seconds, 0.0), 1.0)
        return _MARGIN_LEFT + (WIDTH - _MARGIN_LEFT - _MARGIN_RIGHT) * share

    def _text(
        self, x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", color: str = _TEXT
    ) -> None:
        style = {"text-anchor": anchor, "font-family": "system-ui, sans-serif", "font-size": size}
        self._add("text", x=x, y=y, fill=color, **style).text = "".join(c for c in text if c.isprintable())

    def _add(self, tag: str, **attributes: Any) -> ElementTree.Element:
        values = {
            name: f"{value:.1f}" if isinstance(value, float) else str(value) for name, value in attributes.items()
        }
        return ElementTree.SubElement(self._svg, tag, values)


def _loudness_level(lufs: float | None) -> float:
    """From 0 to 1 within the range that is drawn; 0 for silence."""
    if lufs is None:
        return 0.0
    return min(max((lufs - _MIN_LUFS) / (_MAX_LUFS - _MIN_LUFS), 0.0), 1.0)


def _camera_symbol(shot: dict[str, Any]) -> str:
    camera = (shot.get("motion") or {}).get("camera") or {}
    return _CAMERA_SYMBOLS.get((camera.get("movement", ""), camera.get("direction")), "")


def _clock(seconds: float) -> str:
    if seconds != int(seconds):
        return f"{seconds:.1f}"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"
