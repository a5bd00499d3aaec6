"""What rendering at 3840x2160 takes of a media process, in the whole sandbox: ``python -m bench.render_memory``.

Arguments are codecs, and the number of threads: ``h264 hevc av1 2`` if there are none.
"""

import re
import sys
import tempfile
from pathlib import Path
from typing import cast

from bench.footage_video import footage_video
from clipzy_storage.models.clip_options import RenderOptions, VideoCodec
from clipzy_storage.models.job_config import JobConfig, ThumbnailOptions
from clipzy_worker.sandbox.process import MediaLimits, MediaProcess, MediaRequest

SECONDS, RATE = 4, 24
_FIGURES = {"VmPeak": "address space", "VmHWM": "in use", "Threads": "threads"}


def main() -> None:
    *codecs, threads = sys.argv[1:] or ("h264", "hevc", "av1", "2")
    print(f"{SECONDS} s of 3840x2160, H.264, rendered by {threads} threads; the most of each:")
    with tempfile.TemporaryDirectory(prefix="clipzy-bench-") as name:
        video = footage_video(Path(name) / "4k.mp4", "3840:2160", seconds=SECONDS, rate=RATE)
        for codec in codecs:
            out = Path(name) / codec
            (out / "segments").mkdir(parents=True)
            print(f"  {codec:5}", _most(video, out, cast("VideoCodec", codec), threads=int(threads)), flush=True)


def _most(video: Path, out: Path, codec: VideoCodec, *, threads: int) -> str:
    """Memory of a process without its own limits, and threads."""
    config = JobConfig(
        analyses=[],
        thumbnails=ThumbnailOptions(per="none"),
        sprites=False,
        render=RenderOptions(video_codec=codec, long_side=3840),
    )
    limits = MediaLimits(memory_bytes=32 << 30, resident_bytes=16 << 30, file_bytes=1 << 30, output_bytes=1 << 30)
    request = MediaRequest(video, "mp4", out, config, decoder_threads=threads, sandbox="required", limits=limits)
    most = dict.fromkeys(_FIGURES, 0)
    with MediaProcess(request) as media:
        for _ in media.updates(poll_seconds=0.05):
            status = Path(f"/proc/{media.pid}/status").read_text()
            for name, value in re.findall(r"(\w+):\s+(\d+)", status):
                if name in most:
                    most[name] = max(most[name], int(value))
        media.result()
    memory = ", ".join(f"{most[name] >> 10} MiB {_FIGURES[name]}" for name in ("VmPeak", "VmHWM"))
    return f"{memory}, {most['Threads']} threads"


if __name__ == "__main__":
    main()
