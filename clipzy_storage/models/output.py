"""``output.json``, the result of a completed job. Its JSON Schema is published in ``docs/``.

Fields may be added and are never renamed or removed. No link is stored in it, since links expire.
"""

import json
import sys
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from clipzy_storage import keys
from clipzy_storage.errors import Damaged
from clipzy_storage.models.clips import Clip, Render
from clipzy_storage.models.measurements import Audio, Color, Grade, Motion, Part, Seconds, ShotMotion
from clipzy_storage.models.style_dna import StyleDna

# Must be raised with every change after which the same video and config may have another result.
PIPELINE_VERSION = "3"

SCHEMA_ID = "urn:clipzy:output:1"
"""Of every version of the schema that reads all documents of ``schema_version`` 1."""

Transition = Literal["start", "cut", "fade", "dissolve"]

ArtifactKind = Literal[
    "poster",
    "thumbnail",
    "sprite",
    "sprite_map",
    "contact_sheet",
    "waveform",
    "waveform_picture",
    "curves",
    "clip",
    "clip_poster",
    "clip_subtitles",
    "render",
]


class _Upload(Part):
    filename: str
    container: Literal["mp4", "mov", "avi", "mkv", "webm"]
    size_bytes: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class VideoFacts(Part):
    """What demuxing and decoding show of the upload."""

    duration_seconds: Seconds = Field(description="To the end of the video or of the audio, whichever is later.")
    first_frame_seconds: Seconds = Field(default=0, description="When a player shows the first frame.")
    width: int = Field(ge=1)
    height: int = Field(ge=1)
    frame_rate: float | None = Field(gt=0)
    video_codec: str
    audio_codec: str | None
    timecode: str | None = Field(
        default=None,
        description="Of the first frame: `HH:MM:SS:FF`, or `HH:MM:SS;FF` for drop frame. Null without one.",
    )


# Fields are written in the order of the base classes, the last one first.
class Source(VideoFacts, _Upload):
    """Facts about the upload. Width and height are as displayed: rotation and pixel aspect ratio applied."""


class Shot(Part):
    """From its first frame to that of the next shot, the last one to the end; ``transition`` is how it begins."""

    index: int = Field(ge=0)
    start_seconds: Seconds
    end_seconds: Seconds
    transition: Transition
    transition_seconds: Seconds = Field(default=0, description="Duration of the fade or dissolve; 0 for a cut.")
    motion: ShotMotion | None = None
    color: Grade | None = None


class Artifact(Part):
    """One file that the job has written."""

    name: str
    key: str
    kind: ArtifactKind
    content_type: str
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    shot: int | None = Field(default=None, description="The shot that the thumbnail shows.")
    time_seconds: Seconds | None = Field(default=None, description="The time of the frame that the thumbnail shows.")
    clip: int | None = Field(default=None, description="The clip that the file belongs to.")


class Output(Part):
    """The whole document."""

    schema_version: Literal["1.0"] = "1.0"
    job_id: str
    video_id: str
    attempt: int = Field(ge=1)
    created_at: str
    pipeline_version: str = Field(
        default=PIPELINE_VERSION, description="The same version, video and config have the same result."
    )
    reused_from: str | None = Field(
        default=None,
        description="The job that analysed the video and whose timings these are; null if it was this one.",
    )
    source: Source
    shots: list[Shot]
    audio: Audio | None = Field(
        default=None, description="Null without an audio track, or if audio analysis was not requested."
    )
    motion: Motion | None = None
    color: Color | None = None
    style: StyleDna | None = None
    clips: list[Clip] = Field(default=[], description="By time; empty unless `config.clips` asked for them.")
    render: Render | None = Field(default=None, description="Null unless `config.render` asked for it.")
    artifacts: list[Artifact]
    warnings: list[str] = Field(default=[], description="Irregularities of the file, in words for its owner.")
    timings: dict[str, float] = Field(description="Wall-clock seconds of each stage and of its parts.")

    def to_json(self) -> bytes:
        return (self.model_dump_json(indent=1) + "\n").encode()


class _Listed(BaseModel):
    key: str
    size_bytes: int = 0


class _Listing(BaseModel):
    artifacts: list[_Listed]


def attempt_prefix_of(job_id: str, index: bytes) -> str | None:
    """The prefix of the attempt whose files this ``output.json`` lists; None if it lists none.

    Reads documents of any version. Raises ``Damaged`` if it is no such document.
    """
    listing = _listing_in(job_id, index)
    start = f"{keys.result_prefix(job_id)}attempts/"
    keys_of_attempts = [one.key for one in listing.artifacts if one.key.startswith(start)]
    prefixes = {start + key.removeprefix(start).split("/")[0] + "/" for key in keys_of_attempts}
    return prefixes.pop() if len(prefixes) == 1 else None


def bytes_listed(job_id: str, index: bytes) -> int:
    """How many bytes the files have that this ``output.json`` lists. Raises ``Damaged`` if it is no such document."""
    return sum(one.size_bytes for one in _listing_in(job_id, index).artifacts)


def _listing_in(job_id: str, index: bytes) -> _Listing:
    try:
        return _Listing.model_validate_json(index)
    except ValidationError as error:
        raise Damaged(f"the output.json of {job_id} is damaged") from error


def json_schema() -> dict[str, Any]:
    """The published schema (JSON Schema 2020-12), of the file and of ``GET /jobs/{id}/result``.

    Unlike the model it allows fields that it does not know, since later versions may add some.
    """
    schema = Output.model_json_schema(mode="serialization")
    for part in (schema, *schema["$defs"].values()):
        part.pop("additionalProperties", None)
    schema["$defs"]["Artifact"]["properties"]["storage_url"] = {
        "type": "string",
        "format": "uri-reference",
        "description": "Only in `GET /jobs/{id}/result`: where the file can be fetched now.",
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCHEMA_ID, **schema}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2) + "\n")
