"""Irregularities of a file, in words for its owner."""

from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.analysis.demux import DemuxPass
from clipzy_worker.analysis.shown_sizes import ShownSizes
from clipzy_worker.decode.source import Source

_MAX_NAMED_SIZES = 5


def is_damaged(demux: DemuxPass, audio: AudioPass | None) -> bool:
    return bool(demux.damaged_packets or demux.cut_short or (audio and audio.damaged_packets))


def warnings_about(source: Source, demux: DemuxPass, audio: AudioPass | None, sizes: ShownSizes) -> list[str]:
    """The ``warnings`` of ``output.json``; they quote no text of the file."""
    found = []
    end_seconds, declared = float(demux.end_seconds), source.declared_seconds
    if declared is None:
        found.append("The file does not declare a duration; its frames were counted.")
    elif abs(declared - end_seconds) > max(0.5, 0.02 * end_seconds):
        found.append(f"The file claims {declared:.2f} seconds; its frames last {end_seconds:.2f}.")
    if demux.damaged_packets:
        found.append(f"{demux.damaged_packets} damaged video packets could not be decoded and were skipped.")
    if audio is not None and audio.damaged_packets:
        found.append(f"{audio.damaged_packets} damaged audio packets could not be decoded and were skipped.")
    if demux.cut_short:
        found.append("The file is truncated; the part that can be read was used.")
    found += _about_sizes(sizes)
    if source.audio is None and source.audio_codec is not None:
        found.append(f"The audio is encoded as {source.audio_codec}, which is not accepted; it was skipped.")
    if source.audio_tracks > 1:
        found.append(f"The file has {source.audio_tracks} audio tracks; the first that can be decoded was analysed.")
    return found


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
