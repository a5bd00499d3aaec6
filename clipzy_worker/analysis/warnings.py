"""Irregularities of a file, in words for its owner."""

from clipzy_worker.analysis.audio_pass import AudioPass
from clipzy_worker.analysis.demux import DemuxPass
from clipzy_worker.decode.source import Source


def is_damaged(demux: DemuxPass, audio: AudioPass | None) -> bool:
    return bool(demux.damaged_packets or demux.cut_short or (audio and audio.damaged_packets))


def warnings_about(source: Source, demux: DemuxPass, audio: AudioPass | None) -> list[str]:
    """The ``warnings`` of ``output.json``; they quote no text of the file."""
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
    if source.audio is None and source.audio_codec is not None:
        found.append(f"The audio is encoded as {source.audio_codec}, which is not accepted; it was skipped.")
    if source.audio_tracks > 1:
        found.append(f"The file has {source.audio_tracks} audio tracks; the first that can be decoded was analysed.")
    return found


def _differs(declared: float, measured: float) -> bool:
    """By more than the rounding and the padding of tracks; some headers declare the duration of the video alone."""
    return abs(declared - measured) > max(0.5, 0.02 * measured)
