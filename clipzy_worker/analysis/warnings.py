"""What was odd about a file, in words for its owner."""

from clipzy_worker.analysis.audio_pass import Sound
from clipzy_worker.analysis.demux import Decoding
from clipzy_worker.decode.source import Source


def is_damaged(decoding: Decoding, sound: Sound | None) -> bool:
    return bool(decoding.damaged_packets or decoding.cut_short or (sound and sound.damaged_packets))


def warnings_about(source: Source, decoding: Decoding, sound: Sound | None) -> list[str]:
    """The ``warnings`` of ``output.json``; nothing of the file's own text is in them."""
    found = []
    end_seconds, declared = float(decoding.end_seconds), source.declared_seconds
    if declared is None:
        found.append("The file does not say how long it is; its pictures were counted.")
    elif abs(declared - end_seconds) > max(0.5, 0.02 * end_seconds):
        found.append(f"The file claims {declared:.2f} seconds; its pictures last {end_seconds:.2f}.")
    if decoding.damaged_packets:
        found.append(f"{decoding.damaged_packets} damaged pieces could not be decoded and were left out.")
    if sound is not None and sound.damaged_packets:
        found.append(f"{sound.damaged_packets} damaged pieces of the sound could not be decoded and were left out.")
    if decoding.cut_short:
        found.append("The file ends in the middle; what is there was used.")
    if source.audio is None and source.audio_codec is not None:
        found.append(f"The sound is coded as {source.audio_codec}, which is not accepted; it was left out.")
    if source.audio_tracks > 1:
        found.append(f"The file has {source.audio_tracks} audio tracks; the first that can be decoded was measured.")
    return found
