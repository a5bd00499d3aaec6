"""The image of a job's timeline."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from clipzy_api.cli.plot import WIDTH, timeline
from tests.support.processes import clipzy
from tests.support.scripted_server import RESULT, Respond, accept, front_end

SVG = "{http://www.w3.org/2000/svg}"
BEATS = [{"time_seconds": i / 2, "confidence": 0.8, "band": "bass"} for i in range(20)]
CURVES: dict[str, Any] = {
    "motion": {"step_seconds": 0.5, "intensity": [10.0 + i for i in range(20)]},
    "loudness": {"step_seconds": 0.1, "momentary_lufs": [None] * 3 + [-23.0] * 97},
}


def output(**more: Any) -> dict[str, Any]:
    shot = {"index": 0, "start_seconds": 0.0, "end_seconds": 4.0, "transition": "start", "motion": None, "color": None}
    colored = {"dominant": [{"hex": "#aa3322", "share": 0.7}, {"hex": "#112233", "share": 0.2}]}
    panned = {"intensity": 50.0, "camera": {"movement": "pan", "direction": "left", "speed_percent_per_second": 9.0}}
    second = {"index": 1, "start_seconds": 4.0, "end_seconds": 10.0, "transition": "fade"}
    audio = {
        "integrated_lufs": -23.0,
        "tempo_bpm": 120.0,
        "beats": BEATS,
        "speech": [{"start_seconds": 1.0, "end_seconds": 2.0}],
        "silences": [],
    }
    source = {"filename": "holiday.mp4", "width": 640, "height": 360, "frame_rate": 25.0, "duration_seconds": 10.0}
    whole = {"source": source, "shots": [shot, second | {"motion": panned, "color": colored}], "audio": audio}
    return whole | more


def texts(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_every_measurement_has_its_lane() -> None:
    # Given a job with every measurement, When its timeline is drawn
    svg = timeline(output(), **CURVES)

    # Then each lane is there, each beat, the colours and the camera movement
    assert {"shots", "motion", "loudness", "speech", "silence", "beats", "←"} <= set(texts(svg))
    assert svg.count("#d9534f") == len(BEATS)
    assert "#aa3322" in svg
    # And nothing lies outside the image
    xs = [float(line.get("x1", 0)) for line in ElementTree.fromstring(svg).iter(f"{SVG}line")]
    assert min(xs) >= 0
    assert max(xs) <= WIDTH


def test_curves_reach_the_end_of_the_video() -> None:
    # Given curves of which the one covers the video with its last step, and the other all but a part of a step
    curves = CURVES | {"loudness": {"step_seconds": 0.1, "momentary_lufs": [-23.0] * 99}}

    # When they are drawn, Then both begin with the lane and end with it
    lines = list(ElementTree.fromstring(timeline(output(), **curves)).iter(f"{SVG}polyline"))
    points = [[float(pair.split(",")[0]) for pair in line.get("points", "").split()] for line in lines]
    assert [(xs[0], xs[-1]) for xs in points] == [(84.0, WIDTH - 16.0)] * 2


@pytest.mark.parametrize("missing", ["audio", "curves"])
def test_what_was_not_measured_is_left_out(missing: str) -> None:
    svg = (
        timeline(output(audio=None), motion=None, loudness=None)
        if missing == "audio"
        else timeline(output(), motion=None, loudness=None)
    )
    assert "motion" not in texts(svg)
    assert ("beats" in texts(svg)) == (missing == "curves")


def test_a_file_name_is_shown_as_text() -> None:
    # Given a name with a script element, a line break and a terminal escape sequence
    name = "<script>alert(1)</script>\n\x1b[31m&quot;.mp4"
    source = output()["source"] | {"filename": name}

    # When the timeline is drawn, Then the name is shown as text
    svg = timeline(output(source=source), **CURVES)
    assert "<script>alert(1)</script>[31m&quot;.mp4" in texts(svg)
    assert "<script" not in svg
    assert "\x1b" not in svg


def test_an_unavailable_storage_is_reported_without_the_signature(tmp_path: Path, free_port: int) -> None:
    # Given a result with a file that is a link to storage, where no server listens
    link = f"http://127.0.0.1:{free_port}/clipzy/motion.json"
    answers: list[Respond] = [
        lambda exchange: exchange.answer(200, RESULT),
        lambda exchange: exchange.answer(302, Location=f"{link}?Signature=secret"),
    ]

    # When the job is plotted
    with front_end(accept, *answers) as server:
        ended = clipzy("plot", "job_1", cwd=tmp_path, CLIPZY_URL=server.url)

    # Then one line names the address, and keeps what would give access to it
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"clipzy: the file cannot be fetched from storage at {link}?***: ")
    assert ended.stderr.count("\n") == 1
