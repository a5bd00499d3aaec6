"""The frame analysers of one pass over the video, as its job config asks for them."""

from pathlib import Path

from clipzy_storage.models.job_config import JobConfig
from clipzy_worker.analysers.base import FrameAnalyser
from clipzy_worker.analysers.color.color import Colors
from clipzy_worker.analysers.images.poster import Poster
from clipzy_worker.analysers.images.sprites import Sprites
from clipzy_worker.analysers.images.thumbnails import Thumbnails, thumbnails
from clipzy_worker.analysers.moments.pictures import MomentPictures
from clipzy_worker.analysers.motion.motion import Motions
from clipzy_worker.analysers.shots.shots import Shots
from clipzy_worker.decode.geometry import Geometry

POSTER_MAX_SIDE = 1280


class FrameAnalysers:
    """Those that ``config`` asks for; the others are ``None``. The names of the attributes appear in the timings."""

    def __init__(self, config: JobConfig, geometry: Geometry, out_directory: Path) -> None:
        self.shots = Shots(config.shots)
        self.poster = Poster(geometry.fitted(side=POSTER_MAX_SIDE))
        self.thumbnails: Thumbnails | None = thumbnails(
            config.thumbnails,
            shots=self.shots,
            size=geometry.fitted(width=config.thumbnails.width),
            out_directory=out_directory,
        )
        self.sprites = Sprites(out_directory) if config.sprites else None
        self.motions = Motions(self.shots) if "motion" in config.analyses else None
        self.colors = Colors(self.shots, geometry.shown_size) if "color" in config.analyses else None
        is_to_choose = config.clips is not None and config.clips.ranges is None
        self.moment_pictures = MomentPictures(self.shots) if is_to_choose else None

    def of_changes(self) -> dict[str, FrameAnalyser]:
        """Those to which ``EnoughFrames`` are enough, by name. Shots first, since all others depend on them."""
        return {"shots": self.shots, **({"motions": self.motions} if self.motions else {})}

    def of_moments(self) -> dict[str, FrameAnalyser]:
        """Those that look at what is displayed at certain moments."""
        others = {name: analyser for name, analyser in vars(self).items() if name not in ("shots", "motions")}
        return {name: analyser for name, analyser in others.items() if analyser is not None}
