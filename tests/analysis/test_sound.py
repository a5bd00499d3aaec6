"""The audio of honest and odd files: on the clock of the frames, whatever its format, and what is written of it."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from clipzy_storage.models.job_config import SilenceOptions
from clipzy_storage.models.measurements import Audio
from clipzy_worker.analysers.audio.chunk import HOPS_PER_SECOND, Chunk
from clipzy_worker.analysers.base import SAMPLE_RATE_HZ, MonoBlock
from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.analysis.timings import StageTimer
from clipzy_worker.decode.source import open_source
from clipzy_worker.sandbox.request import MediaRequest
from tests.support.media import clips
from tests.support.media.clips import ffmpeg
from tests.support.media.sounds import RATE_HZ, Wave, audio_of, film, joined, measured, silence, tone

AAC, PCM, FLAC = ("-c:a", "aac", "-b:a", "256k"), ("-c:a", "pcm_s16le"), ("-c:a", "flac")
NO_PICTURE_CHANGE = ("-map", "0", "-c", "copy")


class Recorder:
    """A ``MonoAnalyser`` that stores the audio on the timeline of the video, in samples from its beginning."""

    def __init__(self, seconds: float) -> None:
        self.samples = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
        self.times: list[tuple[float, float]] = []

    def process(self, block: MonoBlock) -> None:
        self.times.append((block.seconds, block.seconds + len(block.samples) / SAMPLE_RATE_HZ))
        at = round(block.seconds * SAMPLE_RATE_HZ)
        samples = block.samples[max(-at, 0) :][: max(len(self.samples) - max(at, 0), 0)]
        self.samples[max(at, 0) : max(at, 0) + len(samples)] = samples

    def finish(self, end_seconds: float) -> None:
        pass


def recorded_from(path: Path, out_directory: Path, *, seconds: float) -> Recorder:
    """What an analyser of the mono mix is fed with."""
    recorder = Recorder(seconds)
    request = MediaRequest(path, path.suffix[1:], out_directory)
    with open_source(request) as source:
        assert source.audio is not None
        audio = AudioPass(
            source.audio,
            origin=source.start,
            timer=StageTimer(),
            request=request,
            extra_analysers={"recorder": recorder},
        )
        for packet in source.container.demux(source.audio):
            if packet.size:
                audio.process(packet)
        audio.flush()
        audio.finish(seconds)
    return recorder


def clicks(seconds: float, times: tuple[float, ...], *, rate_hz: int = RATE_HZ) -> Wave:
    """Silence with short strokes of a tone."""
    wave = silence(seconds, rate_hz=rate_hz)
    for time in times:
        stroke = tone(0.02, -3, hz=1500, rate_hz=rate_hz)
        at = round(time * rate_hz)
        wave[:, at : at + stroke.shape[1]] = stroke
    return wave


def onsets(recorded: Recorder) -> list[float]:
    """When it gets loud after at least 0.1 s of silence."""
    loud = np.flatnonzero(np.abs(recorded.samples) > 0.2)
    fresh = [int(loud[0]), *(int(b) for a, b in pairwise(loud.tolist()) if b - a > 0.1 * SAMPLE_RATE_HZ)]
    return [sample / SAMPLE_RATE_HZ for sample in fresh]


@pytest.mark.parametrize(
    ("suffix", "sound", "rate_hz", "begins_seconds", "pictures_seconds"),
    [
        ("mov", PCM, 48_000, 0.0, 4.0),
        ("mp4", AAC, 44_100, 0.0, 4.0),
        ("mkv", FLAC, 96_000, 0.0, 4.0),
        ("avi", PCM, 11_025, 0.0, 4.0),
        ("webm", ("-c:a", "libopus"), 48_000, 0.0, 4.0),
        ("mov", PCM, 48_000, 0.6, 4.6),
        ("mkv", AAC, 48_000, 0.6, 2.0),
        ("mov", PCM, 8_000, -0.6, 3.4),
    ],
)
def test_analysers_receive_audio_in_sync_with_the_frames(
    suffix: str, sound: tuple[str, ...], rate_hz: int, begins_seconds: float, pictures_seconds: float, tmp_path: Path
) -> None:
    # Given a video with clicks at known times of its audio, which begins with, after or before the frames
    times = (1.0, 1.7, 3.3)
    wave = clicks(4, times, rate_hz=rate_hz)
    pictures = clips.QUICK_VP9 if suffix == "webm" else ()
    path = film(
        tmp_path / f"clicks.{suffix}", wave, rate_hz=rate_hz, sound=(*sound, *pictures),
        begins_seconds=begins_seconds, pictures_seconds=pictures_seconds,
    )  # fmt: skip

    # When it is decoded
    recorded = recorded_from(path, tmp_path, seconds=5)

    # Then each click is where a viewer hears it, and the blocks leave out nothing
    delay_seconds = max(begins_seconds, 0.0)  # audio that begins before the frames begins the clock
    assert onsets(recorded) == pytest.approx([time + delay_seconds for time in times], abs=0.004)
    assert all(end == pytest.approx(start, abs=1e-6) for (_, end), (start, _) in pairwise(recorded.times))


def test_time_that_the_stamps_leave_out_is_silent(tmp_path: Path) -> None:
    # Given a video whose audio has no packets from 1 s to 2.5 s
    whole = film(tmp_path / "whole.mkv", joined(tone(1, -20), clicks(3, (2.0,))), sound=PCM)
    path = tmp_path / "gap.mkv"
    ffmpeg("-i", str(whole), "-c:v", "copy", "-af", "aselect='lt(t,1)+gte(t,2.5)'", *PCM, str(path))

    # When it is measured and listened to
    audio, recorded = audio_of(path), recorded_from(path, tmp_path, seconds=4)

    # Then the gap is a silence, and what comes after it stays with its frames
    assert audio["silences"][0] == {
        "start_seconds": pytest.approx(1, abs=0.05),
        "end_seconds": pytest.approx(3, abs=0.05),
    }
    assert onsets(recorded)[-1] == pytest.approx(3.0, abs=0.025)


def ac3(directory: Path, layout: str, wave: Wave) -> bytes:
    """The bytes of an AC-3 stream, which may simply follow those of another."""
    whole = film(directory / f"{layout}.mkv", wave, layout=layout, sound=("-c:a", "ac3", "-b:a", "640k"))
    ffmpeg("-i", str(whole), "-vn", "-c", "copy", "-f", "ac3", str(directory / f"{layout}.ac3"))
    return (directory / f"{layout}.ac3").read_bytes()


def test_a_change_of_layout_in_the_middle_is_followed(tmp_path: Path) -> None:
    # Given stereo audio that becomes 5.1 after 5 s: the same loudness, from the front at first, then from the left rear
    rear = np.zeros((6, 5 * RATE_HZ))
    rear[4] = tone(5, -20 - 1.49, channels=1)[0]
    (tmp_path / "both.ac3").write_bytes(ac3(tmp_path, "stereo", tone(5, -23)) + ac3(tmp_path, "5.1", rear))
    path = tmp_path / "both.mkv"
    ffmpeg(
        *("-f", "lavfi", "-i", "color=gray:size=32x32:rate=1,trim=duration=10", "-i", str(tmp_path / "both.ac3")),
        *("-c:v", "libx264", "-c:a", "copy", str(path)),
    )

    # When it is measured
    result = measured(path, silences=SilenceOptions(min_seconds=0.1))

    # Then both halves count with the weights of their own channels, and there is no hole between them
    audio = result["audio"]
    assert (audio["channels"], audio["integrated_lufs"]) == (2, pytest.approx(-23, abs=0.2))
    assert audio["max_short_term_lufs"] == pytest.approx(-23, abs=0.2)
    assert audio["silences"] == []
    assert result["warnings"] == []


@pytest.mark.parametrize("channels", [8, 16])
def test_many_channels_are_measured(channels: int, tmp_path: Path) -> None:
    # Given so many channels, each decoded to a plane of its own, with a tone in one of them
    wave = np.zeros((channels, 3 * RATE_HZ))
    wave[2] = tone(3, -20, channels=1)[0]
    layout = f"{channels}C"
    path = film(tmp_path / "many.mkv", wave, layout=layout, sound=("-c:a", "libopus", "-mapping_family", "255"))

    # When it is measured
    audio = audio_of(path)

    # Then the process lives, and has heard the tone
    assert (audio["channels"], audio["integrated_lufs"]) == (channels, pytest.approx(-23, abs=0.5))


def test_the_first_track_that_can_be_decoded_is_measured(tmp_path: Path) -> None:
    # Given three tracks: one of a codec that is not accepted, a quiet one and a loud one
    loud, quiet = film(tmp_path / "a.mkv", tone(3, -10)), film(tmp_path / "b.mkv", tone(3, -33))
    path = tmp_path / "three.mkv"
    ffmpeg(
        *("-i", str(loud), "-i", str(quiet), "-map", "0:v", "-map", "0:a", "-map", "1:a", "-map", "0:a"),
        *("-c", "copy", "-c:a:0", "tta", str(path)),
    )

    # When it is measured
    audio = audio_of(path)

    # Then the second is the one
    assert audio["integrated_lufs"] == pytest.approx(-33, abs=0.1)


def test_audio_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    # Given a video whose only track is of a codec that is not accepted
    path = film(tmp_path / "tta.mkv", tone(1, -20), sound=("-c:a", "tta", "-sample_fmt", "s16"))

    # When it is measured
    result = measured(path)

    # Then there is nothing to say of its audio, and a warning says why
    assert result["audio"] is None
    assert any("tta" in warning for warning in result["warnings"])


def test_damaged_packets_are_left_out_and_the_rest_stays_in_time(tmp_path: Path) -> None:
    # Given a video whose audio packets from 1 s to 1.5 s are noise
    wave = joined(tone(1.5, -20), clicks(2.5, (0.8, 1.6)))
    whole = film(tmp_path / "whole.mkv", wave, sound=("-c:a", "ac3"))
    path = tmp_path / "damaged.mkv"
    noise = "noise=amount='if(between(n,32,46),1,0)'"
    ffmpeg("-i", str(whole), *NO_PICTURE_CHANGE, "-bsf:a", noise, str(path))

    # When it is measured and listened to
    result, recorded = measured(path), recorded_from(path, tmp_path, seconds=4)

    # Then it is told how many were lost, and the clicks are where they were
    assert any("damaged audio packets" in warning for warning in result["warnings"])
    assert onsets(recorded)[-2:] == pytest.approx([2.3, 3.1], abs=0.035)


def test_numbers_that_are_none_do_no_harm(tmp_path: Path) -> None:
    # Given a video with samples that are not a number, infinite or absurd
    wave = tone(3, -20)
    wave[0, 1000:1010], wave[1, 2000:2010], wave[0, 50_000:50_010] = np.nan, np.inf, 1e30
    path = film(tmp_path / "absurd.mov", wave)

    # When it is measured
    audio = audio_of(path)

    # Then every figure is a number that JSON can hold, and the absurd is bounded
    TypeAdapter(Audio).validate_python(audio)
    json.dumps(audio, allow_nan=False)
    assert audio["true_peak_dbtp"] < 40


def test_a_stamp_hours_ahead_is_not_believed(tmp_path: Path) -> None:
    # Given a video whose audio jumps past what any video may last, in the middle of a second
    whole = film(tmp_path / "whole.mkv", tone(2, -20), sound=PCM)
    path = tmp_path / "jump.mkv"
    jump = "setts=ts='if(gte(N,8),TS+90000000,TS)'"  # milliseconds; a header that told of it would be refused
    ffmpeg("-i", str(whole), *NO_PICTURE_CHANGE, "-bsf:a", jump, "-live", "1", str(path))

    # When it is measured
    audio = audio_of(path)

    # Then the audio just goes on
    assert audio["silences"] == []


def test_a_track_without_audio_is_no_audio(clips_directory: Path) -> None:
    # Given a video without an audio track
    clip = clips.cuts_clip(clips_directory, sound=False)

    # When it is measured
    audio = measured(clip.path)["audio"]

    # Then there is nothing to say
    assert audio is None


def test_chunks_begin_where_the_video_does() -> None:
    # Given the grid of a rate that has no whole number of samples in a hop
    chunk = Chunk(0, 4, 11_025, ("FC",), np.zeros((1, 441), np.float32))

    # Then the hops share the samples, none is lost
    assert chunk.starts.tolist() == [0, 110, 221, 331]
    assert Fraction(441, 11_025) == Fraction(4, HOPS_PER_SECOND)
