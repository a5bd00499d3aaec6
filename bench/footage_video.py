"""The videos that are measured: real ones of ``tests/footage``, joined and scaled up, with synthetic music."""

from pathlib import Path

from tests.support.media import clips

FOOTAGE = Path(__file__).parents[1] / "tests/footage"


def footage_video(path: Path, size: str, *, seconds: int, rate: int = 24, coding: tuple[str, ...] = ()) -> Path:
    """Made once; ``size`` is width and height with a colon in between."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        listing = path.with_suffix(".txt")
        listing.write_text("".join(f"file '{clip}'\n" for clip in sorted(FOOTAGE.glob("*.mp4"))) * 5)
        tone = f"aevalsrc='0.3*sin(220*2*PI*t)*exp(-4*mod(t,0.5))+0.05*random(0)':duration={seconds}:s=48000"
        clips.ffmpeg(
            *("-f", "concat", "-safe", "0", "-i", str(listing), "-f", "lavfi", "-i", tone, "-t", str(seconds)),
            *("-vf", f"scale={size}:flags=lanczos,noise=alls=4:allf=t,setsar=1,fps={rate},format=yuv420p"),
            *("-c:v", "libx264", "-preset", "veryfast", "-crf", "21", *coding, "-c:a", "aac", "-shortest", str(path)),
        )
    return path
