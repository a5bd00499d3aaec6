"""Divides a rendered video into segments, and says which segments of earlier attempts fit. Pure but for versions."""

import hashlib
import json
from dataclasses import asdict, dataclass

import av

from clipzy_storage.models.clip_options import RenderOptions
from clipzy_storage.models.output import PIPELINE_VERSION
from clipzy_worker.render.encoder import VideoFormat

SEGMENT_SECONDS = 60.0


@dataclass(frozen=True)
class SegmentPlan:
    """The segments of a video of so many pictures. All but the last, which may be half as long again, are equal."""

    digest: str
    """16 hexadecimal digits that tell apart what cannot be joined or shows other pictures."""
    pictures: int
    pictures_each: int

    def __len__(self) -> int:
        return max(1, round(self.pictures / self.pictures_each))

    def name(self, number: int) -> str:
        """What a segment is called in messages, files and keys."""
        return f"{self.digest}-{number:05}"

    def pictures_of(self, number: int) -> range:
        """The pictures of a segment, counted in the whole video."""
        is_last = number == len(self) - 1
        first = number * self.pictures_each
        return range(first, self.pictures if is_last else first + self.pictures_each)


def plan_segments(
    video: VideoFormat, options: RenderOptions, pictures: int, *, segment_seconds: float = SEGMENT_SECONDS
) -> SegmentPlan:
    """The plan for a video: attempts that get the same one can use each other's segments."""
    pictures_each = max(1, round(video.rate * segment_seconds))
    decisive = {
        "video": asdict(video),
        "options": options.model_dump(mode="json", exclude={"loudness_lufs"}),
        "pictures": [pictures, pictures_each],
        "versions": [PIPELINE_VERSION, av.__version__, av.library_versions],
    }
    text = json.dumps(decisive, sort_keys=True, default=str)
    return SegmentPlan(hashlib.sha256(text.encode()).hexdigest()[:16], pictures, pictures_each)
