"""A video that is rendered in segments is picture for picture, and sample for sample, what it is without them."""

import shutil
from array import array
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

from clipzy_storage.models.clip_options import RenderOptions, VideoCodec
from clipzy_worker.errors import RenderFailed, ResultTooLarge
from clipzy_worker.render.mp4_writer import SOUND_RATE_HZ, Samples, Written
from clipzy_worker.render.output_frames import OutputFrames
from clipzy_worker.render.segments import SegmentPlan, plan_segments
from clipzy_worker.render.whole_render import OUTPUT, render_whole
from clipzy_worker.sandbox.request import SEGMENTS, MediaLimits, MediaRequest
from tests.render import synthetic
from tests.support.media.rendered_files import lag_of, pictures_of, psnr_db, sound_of

PICTURES, SEGMENT_SECONDS = 70, 0.7
CASES: list[tuple[VideoCodec, bool]] = [("h264", False), ("h264", True), ("hevc", True), ("av1", False)]


def stamps(*, is_variable: bool) -> OutputFrames:
    """At a constant rate, or with times that are held up to a second, also right where segments meet."""
    if not is_variable:
        return OutputFrames(1 / synthetic.NTSC, range(PICTURES), range(PICTURES), PICTURES)
    steps = np.random.default_rng(3).choice([1000, 3003, 90_000], PICTURES)
    steps[[20, 21, 41, -1]] = 90_000, 90_000, 1000, 180_000
    times = array("q", [0, *np.cumsum(steps).tolist()])
    return OutputFrames(Fraction(1, 90_000), range(PICTURES), times[:-1], times[-1])


@dataclass
class Attempt:
    """One attempt at rendering the synthetic video into a directory, and what it did."""

    directory: Path
    codec: VideoCodec = "h264"
    is_variable: bool = False
    limits: MediaLimits = field(default_factory=MediaLimits)
    encoded: list[int] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    fractions: list[float] = field(default_factory=list)
    written: Written = field(init=False)

    @property
    def output(self) -> OutputFrames:
        return stamps(is_variable=self.is_variable)

    @property
    def plan(self) -> SegmentPlan:
        video = synthetic.video_format(self.codec, is_variable=self.is_variable)
        options = RenderOptions(video_codec=self.codec)
        return plan_segments(video, options, PICTURES, segment_seconds=SEGMENT_SECONDS)

    @property
    def samples(self) -> int:
        return round(self.output.duration_seconds * SOUND_RATE_HZ)

    def run(self, *, until: int | None = None) -> None:
        """To the end, or until so many pictures were encoded: then it is as if the process was killed."""
        self.directory.mkdir(exist_ok=True)

        def pictures(frames: range) -> Generator[VideoFrame, None, None]:
            for frame in frames:
                if until is not None and len(self.encoded) == until:
                    raise KeyboardInterrupt
                self.encoded.append(frame)
                yield VideoFrame.from_ndarray(synthetic.picture(frame), format="yuv420p")

        self.written = render_whole(
            MediaRequest(Path("unused"), "mp4", self.directory, decoder_threads=2, limits=self.limits),
            synthetic.video_format(self.codec, is_variable=self.is_variable),
            self.output,
            self.plan,
            pictures=pictures,
            sound=blocks(synthetic.noise(self.samples)),
            on_fraction=self.fractions.append,
            on_segment=self.finished.append,
        )


def blocks(sound: Samples) -> list[Samples]:
    return [sound[:, begin : begin + SOUND_RATE_HZ] for begin in range(0, sound.shape[1], SOUND_RATE_HZ)]


def keep(finished: Sequence[str], attempt: Attempt, directory: Path) -> None:
    """What the parent does: the next attempt finds the segments that this one has finished."""
    (directory / SEGMENTS).mkdir(parents=True)
    for name in finished:
        shutil.copy(attempt.directory / SEGMENTS / f"{name}.mp4", directory / SEGMENTS)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}-{'source' if case[1] else 'constant'}")
def attempt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Attempt:
    """One whole attempt, in three segments."""
    codec, is_variable = request.param
    whole = Attempt(tmp_path_factory.mktemp("whole") / "out", codec, is_variable)
    whole.run()
    return whole


def times_of(path: Path) -> list[Fraction]:
    """When each picture is shown, in the order in which a decoder gives them."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        assert video.time_base is not None
        return [(frame.pts or 0) * video.time_base for frame in container.decode(video)]


def test_every_picture_is_the_right_one(attempt: Attempt) -> None:
    """Without times given anew at the joins pictures come twice, or the file cannot be written."""
    found = pictures_of(attempt.directory / OUTPUT, size=synthetic.SIZE)
    luma = [synthetic.picture(number)[: synthetic.SIZE[1]] for number in range(PICTURES)]
    assert len(found) == PICTURES
    for number, picture in enumerate(found):
        likeness = psnr_db(picture, luma[number])
        neighbours = [psnr_db(picture, luma[one]) for one in (number - 1, number + 1) if 0 <= one < PICTURES]
        assert likeness > 30, number
        assert likeness > max(neighbours) + 10, number


def test_every_picture_is_shown_at_its_time(attempt: Attempt) -> None:
    output = attempt.output
    assert times_of(attempt.directory / OUTPUT) == [stamp * output.time_base for stamp in output.stamps]
    assert attempt.written.end_seconds == output.duration_seconds


def test_a_player_finds_every_key_frame_at_its_time(attempt: Attempt) -> None:
    """If the first pictures are decoded long before they are shown, FFmpeg begins with the key frame before."""
    with av.open(str(attempt.directory / OUTPUT)) as container:
        video = container.streams.video[0]
        keys = [packet.pts or 0 for packet in container.demux(video) if packet.is_keyframe]
        assert len(keys) >= len(attempt.plan)
        for pts in keys:
            container.seek(pts, stream=video)
            assert next(container.demux(video)).pts == pts


def test_the_sound_goes_on_over_the_joins(attempt: Attempt) -> None:
    sound, reference = sound_of(attempt.directory / OUTPUT), synthetic.noise(attempt.samples)
    assert sound.shape[1] - attempt.samples in range(1024)
    assert lag_of(sound, reference) == 0
    # Around each join too: an encoder that begins anew is silent for 21 ms
    for number in range(1, len(attempt.plan)):
        at = round(attempt.output.stamps[attempt.plan.pictures_of(number).start] * attempt.output.time_base * 48_000)
        around = slice(at - 4000, at + 4000)
        assert lag_of(sound[:, around], reference[:, around]) == 0
        assert np.corrcoef(sound[0, around], reference[0, around])[0, 1] > 0.9


def test_each_segment_is_told_once_and_nothing_is_left_of_it(attempt: Attempt) -> None:
    assert attempt.finished == [attempt.plan.name(number) for number in range(3)]
    assert [path.name for path in attempt.directory.iterdir()] == [OUTPUT]
    assert attempt.fractions == sorted(attempt.fractions)
    assert attempt.fractions[-1] == 1


@pytest.mark.parametrize("codec", ["h264", pytest.param("hevc", marks=pytest.mark.long)])
def test_what_was_finished_is_not_encoded_again(codec: VideoCodec, tmp_path: Path) -> None:
    # Given an attempt that is killed in its second segment
    killed = Attempt(tmp_path / "killed", codec)
    with pytest.raises(KeyboardInterrupt):
        killed.run(until=30)
    assert killed.finished == [killed.plan.name(0)]
    keep(killed.finished, killed, tmp_path / "next")
    # When the next one has its first segment, then it encodes the others, and the video is whole
    resumed = Attempt(tmp_path / "next", codec)
    resumed.run()
    assert resumed.finished == [resumed.plan.name(1), resumed.plan.name(2)]
    assert resumed.encoded == [*range(21, PICTURES), 0]  # the first one only to compare it
    assert resumed.written.pictures == len(pictures_of(resumed.directory / OUTPUT, size=synthetic.SIZE)) == PICTURES


def test_one_that_is_missing_in_the_middle_is_rendered(tmp_path: Path) -> None:
    stopped = Attempt(tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        stopped.run(until=PICTURES - 1)
    first, second = stopped.finished
    keep([second], stopped, tmp_path / "next")
    resumed = Attempt(tmp_path / "next")
    resumed.run()
    assert resumed.finished == [first, resumed.plan.name(2)]
    assert len(pictures_of(resumed.directory / OUTPUT, size=synthetic.SIZE)) == PICTURES


@pytest.mark.parametrize("what", ["cut", "another plan", "one picture less", "another codec"])
def test_what_does_not_fit_is_rendered_again(what: str, tmp_path: Path) -> None:
    """Without the count of its pictures a segment moves all that come after it."""
    before = Attempt(tmp_path / "before")
    with pytest.raises(KeyboardInterrupt):
        before.run(until=30)
    keep(before.finished, before, tmp_path / "next")
    path = tmp_path / "next" / SEGMENTS / f"{before.finished[0]}.mp4"
    match what:
        case "cut":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "another plan":
            path.rename(path.with_name(f"{'0' * 16}-00000.mp4"))
        case "one picture less":
            synthetic.write(path, synthetic.video_format(), [1] * 20, has_sound=False)
        case "another codec":
            synthetic.write(path, synthetic.video_format("hevc"), [1] * 21, has_sound=False)
    resumed = Attempt(tmp_path / "next")
    resumed.run()
    assert len(resumed.finished) == 3
    assert len(pictures_of(resumed.directory / OUTPUT, size=synthetic.SIZE)) == PICTURES


def test_what_fits_nothing_is_removed_first(tmp_path: Path) -> None:
    (tmp_path / "out" / SEGMENTS).mkdir(parents=True)
    other = tmp_path / "out" / SEGMENTS / f"{'0' * 16}-00000.mp4"
    synthetic.write(other, synthetic.video_format(), [1] * 21, has_sound=False)
    with pytest.raises(KeyboardInterrupt):
        Attempt(tmp_path / "out").run(until=0)
    assert not other.exists()


def test_a_video_over_the_limit_ends_while_it_is_rendered(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path / "out", limits=MediaLimits(output_bytes=2000))
    with pytest.raises(ResultTooLarge):
        attempt.run()
    assert len(attempt.encoded) < PICTURES


def test_pictures_that_are_missing_are_an_error(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path / "out")
    attempt.directory.mkdir()
    video = synthetic.video_format()

    def too_few(frames: range) -> Generator[VideoFrame, None, None]:
        yield from (VideoFrame.from_ndarray(synthetic.picture(one), format="yuv420p") for one in frames[:-1])

    request = MediaRequest(Path("unused"), "mp4", attempt.directory)
    nobody: Callable[[Any], None] = lambda _: None  # noqa: E731
    with pytest.raises(RenderFailed):
        render_whole(
            request,
            video,
            attempt.output,
            attempt.plan,
            pictures=too_few,
            sound=None,
            on_fraction=nobody,
            on_segment=nobody,
        )


def test_a_plan_tells_apart_what_does_not_fit() -> None:
    video, options = synthetic.video_format(), RenderOptions()
    plans = {
        plan.digest
        for plan in (
            plan_segments(video, options, 100),
            plan_segments(video, options, 101),
            plan_segments(video, options, 100, segment_seconds=30),
            plan_segments(replace(video, width=130), options, 100),
            plan_segments(replace(video, quality="high"), options, 100),
            plan_segments(video, RenderOptions(shape="1:1"), 100),
            plan_segments(video, RenderOptions(reframe="fit"), 100),
        )
    }
    assert len(plans) == 7
    # And not what is done with the sound, which no segment has
    assert plan_segments(video, RenderOptions(loudness_lufs=-14), 100) == plan_segments(video, options, 100)


@pytest.mark.parametrize(
    ("pictures", "lengths"), [(1, [1]), (149, [149]), (151, [100, 51]), (360, [100, 100, 100, 60])]
)
def test_segments_are_equal_but_for_the_last(pictures: int, lengths: list[int]) -> None:
    video = replace(synthetic.video_format(), rate=Fraction(25))
    plan = plan_segments(video, RenderOptions(), pictures, segment_seconds=4)
    assert [len(plan.pictures_of(number)) for number in range(len(plan))] == lengths
    assert [one for number in range(len(plan)) for one in plan.pictures_of(number)] == list(range(pictures))
