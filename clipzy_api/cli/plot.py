"""A job's timeline as an SVG picture: shots in their colours, motion, loudness, voice and beats. Pure."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click

from clipzy_api.cli.client import FrontEnd

WIDTH = 1200
_LEFT, _RIGHT = 84, 16  # of the lanes
_MARK_KINDS = {"fade": "#e0b341", "dissolve": "#5fb3d4"}
_BANDS = {"bass": "#d9534f", "mid": "#e0b341", "treble": "#5fb3d4"}
_PAPER, _INK, _FAINT, _CURVE, _FILL = "#14171c", "#d6d9de", "#3a414c", "#7fd1ae", "#2b6e58"
_LOUDEST_LUFS, _QUIETEST_LUFS = 0.0, -50.0
_MOST_POINTS = 1200
_MOVES: dict[str, dict[str | None, str]] = {
    "pan": {"left": "←", "right": "→"},
    "tilt": {"up": "↑", "down": "↓"},
    "zoom": {"in": "⊕", "out": "⊖"},
    "handheld": {None: "≈"},
}


def timeline(output: dict[str, Any], *, motion: dict[str, Any] | None, loudness: dict[str, Any] | None) -> str:
    """The picture of an ``output.json``, with the curves from its artifacts where it has them."""
    return _Timeline(output, motion, loudness).draw()


class _Timeline:
    def __init__(self, output: dict[str, Any], motion: dict[str, Any] | None, loudness: dict[str, Any] | None) -> None:
        self._output, self._motion, self._loudness = output, motion, loudness
        self._seconds = max(float(output["source"]["duration_seconds"]), 1e-3)
        self._svg = ElementTree.Element("svg", xmlns="http://www.w3.org/2000/svg", width=str(WIDTH))
        self._y = 0

    def draw(self) -> str:
        paper = self._add("rect", x=0, y=0, width=WIDTH, height=0, fill=_PAPER)
        self._title()
        self._shots()
        self._moving()
        self._sound()
        self._ruler()
        for element in (paper, self._svg):
            element.set("height", str(self._y))
        self._svg.set("viewBox", f"0 0 {WIDTH} {self._y}")
        return ElementTree.tostring(self._svg, encoding="unicode") + "\n"

    def _title(self) -> None:
        source, audio = self._output["source"], self._output.get("audio") or {}
        facts = [f"{source['width']}x{source['height']}", f"{source['frame_rate']:g} fps", f"{self._seconds:.1f} s"]
        if audio.get("integrated_lufs") is not None:
            facts.append(f"{audio['integrated_lufs']:.1f} LUFS")
        if audio.get("tempo_bpm") is not None:
            facts.append(f"{audio['tempo_bpm']:.0f} bpm")
        self._text(_LEFT, 26, str(source["filename"])[:80], size=15)
        self._text(WIDTH - _RIGHT, 26, "  ·  ".join(facts), anchor="end")
        self._y = 42

    def _shots(self) -> None:
        top = self._lane("shots", 56)
        for shot in self._output["shots"]:
            x, width = self._x(shot["start_seconds"]), self._x(shot["end_seconds"]) - self._x(shot["start_seconds"])
            self._colors(x, top, width, ((shot.get("color") or {}).get("dominant")) or [])
            mark = _MARK_KINDS.get(shot["transition"], _PAPER)
            self._add("rect", x=x - 1, y=top, width=2, height=56, fill=mark)
            if width > 16:
                self._text(x + 6, top + 14, str(shot["index"]), color="#ffffff")
                self._text(x + 6, top + 50, _move(shot), color="#ffffff", size=15)

    def _colors(self, x: float, top: float, width: float, dominant: Sequence[dict[str, Any]]) -> None:
        shares = [color["share"] for color in dominant]
        y = float(top)
        for color, share in zip(dominant, shares, strict=True):
            height = 56 * share / sum(shares)
            self._add("rect", x=x, y=y, width=max(width, 0.5), height=height + 0.5, fill=color["hex"])
            y += height
        if not dominant:
            self._add("rect", x=x, y=top, width=max(width, 0.5), height=56, fill=_FAINT)

    def _moving(self) -> None:
        if self._motion:
            top = self._lane("motion", 60)
            self._curve(top, 60, self._motion["step_seconds"], [level / 100 for level in self._motion["intensity"]])

    def _sound(self) -> None:
        audio = self._output.get("audio")
        if audio is None:
            return
        if self._loudness:
            top = self._lane("loudness", 60)
            levels = [_share(level) for level in self._loudness["momentary_lufs"]]
            self._curve(top, 60, self._loudness["step_seconds"], levels)
            if audio["integrated_lufs"] is not None:
                y = top + 60 * (1 - _share(audio["integrated_lufs"]))
                self._add("line", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y, stroke=_INK, **{"stroke-dasharray": "4 4"})
        self._spans("speech", audio["speech"], "#c792ea")
        self._spans("silence", audio["silences"], "#6b7686")
        top = self._lane("beats", 22)
        for beat in audio["beats"]:
            x = self._x(beat["time_seconds"])
            color, height = _BANDS[beat["band"]], 6 + 16 * beat["confidence"]
            self._add("line", x1=x, x2=x, y1=top + 22 - height, y2=top + 22, stroke=color, **{"stroke-width": 1.5})

    def _spans(self, name: str, spans: Iterable[dict[str, float]], color: str) -> None:
        top = self._lane(name, 10)
        for span in spans:
            x, end = self._x(span["start_seconds"]), self._x(span["end_seconds"])
            self._add("rect", x=x, y=top, width=max(end - x, 1), height=10, fill=color, rx=2)

    def _ruler(self) -> None:
        self._y += 6
        step = next((step for step in _STEPS_SECONDS if self._seconds / step <= 14), 7200)
        for place in range(int(self._seconds / step) + 1):
            x = self._x(place * step)
            self._add("line", x1=x, x2=x, y1=self._y, y2=self._y + 5, stroke=_INK)
            self._text(x, self._y + 18, _clock(place * step), anchor="middle")
        self._y += 28

    def _lane(self, name: str, height: int) -> int:
        """Make room for a lane, name it, and return its top."""
        top = self._y + 8
        self._y = top + height
        self._text(_LEFT - 10, top + height / 2 + 4, name, anchor="end")
        self._add("rect", x=_LEFT, y=top, width=WIDTH - _LEFT - _RIGHT, height=height, fill="#1c2027")
        return top

    def _curve(self, top: float, height: float, step_seconds: float, levels: Sequence[float]) -> None:
        every = max(1, -(-len(levels) // _MOST_POINTS))
        peaks = [max(levels[start : start + every]) for start in range(0, len(levels), every)]
        if not peaks:
            return
        xs = [min(self._x(place * every * step_seconds), WIDTH - _RIGHT) for place in range(len(peaks))]
        line = [f"{x:.1f},{top + height * (1 - min(level, 1.0)):.1f}" for x, level in zip(xs, peaks, strict=True)]
        base = top + height
        points = " ".join([f"{xs[0]:.1f},{base:.1f}", *line, f"{xs[-1]:.1f},{base:.1f}"])
        self._add("polygon", points=points, fill=_FILL)
        self._add("polyline", points=" ".join(line), fill="none", stroke=_CURVE)

    def _x(self, seconds: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(max(seconds / self._seconds, 0.0), 1.0)

    def _text(self, x: float, y: float, text: str, *, size: int = 12, anchor: str = "start", color: str = _INK) -> None:
        about = {"text-anchor": anchor, "font-family": "system-ui, sans-serif", "font-size": size}
        self._add("text", x=x, y=y, fill=color, **about).text = "".join(c for c in text if c.isprintable())

    def _add(self, kind: str, **about: Any) -> ElementTree.Element:
        values = {name: f"{value:.1f}" if isinstance(value, float) else str(value) for name, value in about.items()}
        return ElementTree.SubElement(self._svg, kind, values)


_STEPS_SECONDS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600)


def _share(lufs: float | None) -> float:
    if lufs is None:
        return 0.0
    return min(max((lufs - _QUIETEST_LUFS) / (_LOUDEST_LUFS - _QUIETEST_LUFS), 0.0), 1.0)


def _move(shot: dict[str, Any]) -> str:
    camera = (shot.get("motion") or {}).get("camera") or {}
    return _MOVES.get(camera.get("movement", ""), {}).get(camera.get("direction")) or ""


def _clock(seconds: float) -> str:
    if seconds != int(seconds):
        return f"{seconds:.1f}"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def plot(url: str, job_id: str, path: Path | None) -> int:
    """Write the picture and say where; raises ``click.ClickException`` with one line where that cannot be done."""
    front_end = FrontEnd(url)
    output = front_end.result(job_id)
    path = path or Path(f"{output['job_id']}.svg")
    names = {artifact["name"] for artifact in output["artifacts"]}
    curves = {name: _curve(front_end, job_id, f"{name}.json", names) for name in ("motion", "loudness")}
    try:
        path.write_text(timeline(output, **curves), encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from error
    click.echo(path)
    return 0


def _curve(front_end: FrontEnd, job_id: str, name: str, names: set[str]) -> dict[str, Any] | None:
    return front_end.json_file(job_id, name) if name in names else None
