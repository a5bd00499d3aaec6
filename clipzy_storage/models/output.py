"""`output.json`: what a finished job says of its footage. Its JSON Schema is published in ``docs/``.

It may grow; a name once here stays. Links are never stored in it, since they die.
"""

import json
import sys
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from clipzy_storage import keys
from clipzy_storage.errors import Damaged
from clipzy_storage.models.measurements import Audio, Color, Grade, Motion, Part, Seconds, ShotMotion
from clipzy_storage.models.style_dna import StyleDna

PIPELINE_VERSION = "1"  # to be raised whenever the same footage and options may have another result than before

ArtifactKind = Literal[
    "poster", "thumbnail", "sprite", "sprite_map", "contact_sheet", "waveform", "waveform_picture", "curves"
]


class Source(Part):
    """Facts about the upload. Width and height are as displayed: rotation and pixel shape applied."""

    filename: str
    container: Literal["mp4", "mov", "avi", "mkv", "webm"]
    size_bytes: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    duration_seconds: Seconds
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    frame_rate: float | None = Field(gt=0)
    video_codec: str
    audio_codec: str | None


class Shot(Part):
    """From the first frame of one view to the first of the next; ``transition`` is how it begins."""

    index: int = Field(ge=0)
    start_seconds: Seconds
    end_seconds: Seconds
    transition: Literal["start", "cut", "fade", "dissolve"]
    transition_seconds: Seconds = Field(default=0, description="How long the fade or dissolve takes; 0 for a cut.")
    motion: ShotMotion | None = None
    color: Grade | None = None


class Artifact(Part):
    """One file that the job wrote."""

    name: str
    key: str
    kind: ArtifactKind
    content_type: str
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    shot: int | None = Field(default=None, description="The shot that a thumbnail shows.")
    time_seconds: Seconds | None = Field(default=None, description="The moment that a thumbnail shows.")


class Output(Part):
    """The whole document."""

    schema_version: Literal["1.0"] = "1.0"
    job_id: str
    video_id: str
    attempt: int = Field(ge=1)
    created_at: str
    pipeline_version: str = Field(
        default=PIPELINE_VERSION, description="Results of the same version, footage and options are the same."
    )
    reused_from: str | None = Field(
        default=None,
        description="The job that analysed the footage, whose timings these are; null: this one.",
    )
    source: Source
    shots: list[Shot]
    audio: Audio | None = Field(default=None, description="Null without an audio track, or where it was not asked for.")
    motion: Motion | None = None
    color: Color | None = None
    style: StyleDna | None = None
    clips: list[dict[str, Any]] = Field(default=[])
    artifacts: list[Artifact]
    warnings: list[str] = Field(default=[], description="What was odd about the file, for its owner.")
    timings: dict[str, float] = Field(description="Seconds each stage took, and each part of it.")

    def to_json(self) -> bytes:
        return (self.model_dump_json(indent=1) + "\n").encode()


class _Listed(BaseModel):
    key: str


class _Listing(BaseModel):
    artifacts: list[_Listed]


def attempt_prefix_of(job_id: str, index: bytes) -> str | None:
    """The prefix of the attempt whose files this ``output.json`` lists; None if it lists none.

    Reads documents of any version. Raises ``Damaged`` if it is no such document.
    """
    try:
        listing = _Listing.model_validate_json(index)
    except ValidationError as error:
        raise Damaged(f"the output.json of {job_id} is damaged") from error
    start = f"{keys.result_prefix(job_id)}attempts/"
    keys_of_attempts = [one.key for one in listing.artifacts if one.key.startswith(start)]
    prefixes = {start + key.removeprefix(start).split("/")[0] + "/" for key in keys_of_attempts}
    return prefixes.pop() if len(prefixes) == 1 else None


def json_schema() -> dict[str, Any]:
    """The published schema (JSON Schema 2020-12)."""
    schema = Output.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
