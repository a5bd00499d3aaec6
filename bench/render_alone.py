"""Renders one clip of a video whose frame times are read from its packets, without the analysis before it.

``python -m bench.render_alone VIDEO OUT START END THREADS``, in seconds.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in a media process

import sys
from fractions import Fraction
from pathlib import Path

from clipzy_storage.models.clip_options import RenditionOptions
from clipzy_worker.decode.decoded_pixels import DecodedPixels
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.decode.source import open_source
from clipzy_worker.render.clips import render_clip
from clipzy_worker.render.section import Footage
from clipzy_worker.render.sound import Soundtrack
from clipzy_worker.sandbox.request import MediaRequest


def main() -> None:
    video, out, start, end, threads = sys.argv[1:]
    request = MediaRequest(Path(video), "mp4", Path(out), decoder_threads=int(threads))
    footage = _footage(request)
    frames = footage.index.frames_of(float(start), float(end))
    render_clip(footage, 0, frames, RenditionOptions(), speech=[], on_picture=lambda: None)


def _footage(request: MediaRequest) -> Footage:
    decoded, index = DecodedPixels(request.limits.max_decoded_pixels), FrameIndex()
    with open_source(request, decoded=DecodedPixels(request.limits.max_decoded_pixels)) as source:
        tick, rate = Fraction(source.video.time_base or 0), Fraction(source.declared_rate or 25)
        stamps = sorted(packet.pts or 0 for packet in source.container.demux(source.video) if packet.size)
        size = source.video.codec_context.width, source.video.codec_context.height
    for stamp in stamps:
        index.add(float(stamp * tick), stamp)
    index.finish(zero=Fraction(0), end_seconds=float(stamps[-1] * tick + 1 / rate))
    soundtrack = Soundtrack(request, zero=index.zero)
    return Footage(request, index, rate, shown_size=size, soundtrack=soundtrack, decoded=decoded)


if __name__ == "__main__":
    main()
