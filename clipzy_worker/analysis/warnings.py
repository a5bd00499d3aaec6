"""Irregularities of a file, in words for its owner."""

from collections.abc import Mapping, Sequence

from av.stream import Disposition, Stream

from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.analysis.demux import DemuxPass
from clipzy_worker.analysis.shown_sizes import ShownSizes
from clipzy_worker.decode.input_limits import PROTECTED
from clipzy_worker.decode.source import Source

_MAX_NAMED_SIZES = 5


def is_damaged(demux: DemuxPass, audio: AudioPass | None) -> bool:
    return bool(demux.damaged_packets or demux.cut_short or (audio and audio.damaged_packets))


def warnings_about(
    source: Source,
    demux: DemuxPass,
    audio: AudioPass | None,
    sizes: ShownSizes,
    other_tracks: Mapping[int, bool],
) -> list[str]:
    """The ``warnings`` of ``output.json``; they quote no text of the file.

    ``other_tracks`` are the numbers of other audio tracks, and whether they have signal.
    """
    found = []
    end_seconds, declared = float(demux.end_seconds), source.declared_seconds
    if declared is None:
        found.append("The file does not declare a duration; its frames were counted.")
    elif all(_differs(declared, end) for end in (end_seconds, float(demux.video_end_seconds))):
        found.append(f"The file claims {declared:.2f} seconds; its video and audio last {end_seconds:.2f}.")
    if demux.damaged_packets:
        found.append(f"{demux.damaged_packets} damaged video packets could not be decoded and were skipped.")
    if audio is not None and audio.damaged_packets:
        found.append(f"{audio.damaged_packets} damaged audio packets could not be decoded and were skipped.")
    if demux.cut_short:
        found.append("The file is truncated; the part that can be read was used.")
    return found + _about_sizes(sizes) + _about_choice(source) + _about_silence(source, audio, other_tracks)


def _about_sizes(sizes: ShownSizes) -> list[str]:
    if len(sizes.all) < 2:
        return []
    named = [f"{width}x{height}" for width, height in sizes.all[:_MAX_NAMED_SIZES]]
    more = len(sizes.all) - len(named)
    listed = ", ".join(named) + (f" and {more} more" if more else "")
    width, height = sizes.main.shown_size
    return [
        f"The size of the frames changes ({listed}). Most of the time it is {width}x{height},"
        " and the other frames were fitted into that."
    ]


def _about_choice(source: Source) -> list[str]:
    found = _about_tracks("video", source.video_tracks, source.video)
    if source.audio is not None:
        return found + _about_tracks("audio", source.audio_tracks, source.audio)
    if any(track.index in source.encrypted for track in source.audio_tracks):
        return [*found, PROTECTED.format("audio") + " It was skipped."]
    if source.audio_codec is not None:
        found.append(f"The audio is encoded as {source.audio_codec}, which is not accepted; it was skipped.")
    return found


def _differs(declared: float, measured: float) -> bool:
    """By more than the rounding and the padding of tracks; some headers declare the duration of the video alone."""
    return abs(declared - measured) > max(0.5, 0.02 * measured)


def _about_tracks(kind: str, tracks: Sequence[Stream], chosen: Stream) -> list[str]:
    if len(tracks) < 2:
        return []
    number = _number(tracks, chosen)
    if chosen.disposition & Disposition.default:
        why = "its default one"
    else:
        why = "the first" if number == 1 else "the first that can be decoded"
    return [f"The file has {len(tracks)} {kind} tracks; track {number} was analysed, {why}."]


def _about_silence(source: Source, audio: AudioPass | None, other_tracks: Mapping[int, bool]) -> list[str]:
    if audio is None:
        return []
    own = _number(source.audio_tracks, audio.stream)
    signals = dict(sorted({**other_tracks, own: not audio.is_silent}.items()))
    silent = [str(number) for number, has_signal in signals.items() if not has_signal]
    audible = [str(number) for number, has_signal in signals.items() if has_signal]
    if not silent or not audible:
        return []
    if audio.is_silent:
        return [f"Audio track {own}, which was analysed, is silent; there is sound in track {', '.join(audible)}."]
    return [f"There seems to be no sound in audio track {', '.join(silent)}, which was not analysed."]


def _number(tracks: Sequence[Stream], track: Stream) -> int:
    return 1 + [one.index for one in tracks].index(track.index)
