"""Generates demo.mp4 next to this file: ``python demo/make.py``. All frames and audio are synthetic."""

import subprocess
from pathlib import Path

import imageio_ffmpeg

FPS = 25
SIZE = "640x360"
FRAME_FORMAT = "format=yuv420p,setsar=1,settb=1/25"

# Duration in seconds and lavfi source of each scene.
SCENES = (
    (3.0, f"mandelbrot=size={SIZE}:rate={FPS}:start_x=-0.743643:start_y=-0.131825:start_scale=1.6:end_scale=0.05"
          ":end_pts=100,hue=h=170:s=0.8"),
    (2.4, f"life=size=64x36:rate={FPS}:ratio=0.3:seed=11:mold=12:life_color=0xffd166:death_color=0x06283d"
          ":mold_color=0x118ab2,trim=start=6,setpts=PTS-STARTPTS,scale=640:360:flags=neighbor"),
    (3.0, f"gradients=size={SIZE}:rate={FPS}:seed=5:speed=0.03:nb_colors=4:type=spiral"
          ":c0=0x0b132b:c1=0x5bc0be:c2=0xf25f5c:c3=0xffe066"),
    (2.4, f"mandelbrot=size={SIZE}:rate={FPS}:start_x=-0.1011:start_y=0.9563:start_scale=0.6:end_scale=0.1"
          ":end_pts=100,hue=h=60:s=0.9"),
    (2.6, f"sierpinski=size={SIZE}:rate={FPS}:type=carpet:seed=3:jump=40,boxblur=2"
          ",colorchannelmixer=.9:0:0:0:0:.5:0:0:0:0:.8:0"),
)  # fmt: skip
FADE_AFTER_SCENE = 1
"""The other transitions are hard cuts."""
FADE_SECONDS = 0.6

# A soft chord that changes with the scenes, and 120 beats a minute.
AUDIO = (
    "aevalsrc='0.10*(sin(2*PI*f0*t)+sin(2*PI*f0*1.25*t)+sin(2*PI*f0*1.5*t))*(0.7+0.3*sin(2*PI*0.5*t))"
    "+0.5*sin(2*PI*(50*mod(t,0.5)+2*(1-exp(-30*mod(t,0.5)))))*exp(-9*mod(t,0.5))':s=44100:d={duration}"
).replace("f0", "(220*pow(2,-mod(floor(t/2.7),4)/6))")


def graph() -> str:
    """The filter graph that concatenates the scenes."""
    parts = []
    for number, (seconds, source) in enumerate(SCENES):
        fade = ""
        if number == FADE_AFTER_SCENE:
            fade = f",fade=out:st={seconds - FADE_SECONDS}:d={FADE_SECONDS}"
        elif number == FADE_AFTER_SCENE + 1:
            fade = f",fade=in:st=0:d={FADE_SECONDS}"
        parts.append(f"{source},trim=duration={seconds}{fade},{FRAME_FORMAT}[v{number}]")
    labels = "".join(f"[v{number}]" for number in range(len(SCENES)))
    return ";".join([*parts, f"{labels}concat=n={len(SCENES)}[v]"])


def main() -> None:
    duration = sum(seconds for seconds, _source in SCENES)
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y"),
        *("-f", "lavfi", "-i", AUDIO.format(duration=duration)),
        *("-filter_complex", graph(), "-map", "[v]", "-map", "0:a"),
        *("-c:v", "libx264", "-preset", "veryslow", "-crf", "36", "-g", "100", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-b:a", "64k", "-ac", "1", "-movflags", "+faststart", "-map_metadata", "-1"),
        *("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"),
        str(Path(__file__).with_name("demo.mp4")),
    ]
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
