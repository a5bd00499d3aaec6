"""What a media process sends to its parent: the parts of ``output.json`` that are measured, and the files written."""

from pydantic import Field

from clipzy_storage.models.clips import Clip, Render
from clipzy_storage.models.measurements import Audio, Color, Motion, Part, Seconds
from clipzy_storage.models.output import ArtifactKind, Shot, VideoFacts
from clipzy_storage.models.style_dna import MeasuredStyle


class ArtifactFile(Part):
    """An artifact before it is uploaded. ``file`` is its path in the output directory, at most one directory deep."""

    file: str
    kind: ArtifactKind
    content_type: str
    shot: int | None = None
    time_seconds: Seconds | None = None
    clip: int | None = None


class Analysis(Part):
    """The whole message; a part that was not requested or could not be measured is null."""

    source: VideoFacts
    shots: list[Shot]
    audio: Audio | None = None
    motion: Motion | None = None
    color: Color | None = None
    style: MeasuredStyle | None = None
    clips: list[Clip] = Field(default=[])
    render: Render | None = None
    artifacts: list[ArtifactFile]
    warnings: list[str]
    timings: dict[str, float]
    """Wall-clock seconds of each stage and of its parts."""
