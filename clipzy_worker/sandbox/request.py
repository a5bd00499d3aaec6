"""What the parent asks of a media process. Imported by both sides, and imports no media library."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, Self

from clipzy_storage.models.job_config import JobConfig

SEGMENTS = "segments"
"""Below the output directory: the finished parts of a rendered video, those of earlier attempts among them."""

Sandbox = Literal["required", "best-effort", "off"]


@dataclass(frozen=True)
class MediaLimits:
    """What a file may claim, and what its analysis may use. ``docs/media-safety.md`` has the same as a table."""

    cpu_seconds: int = 4 * 3600
    memory_bytes: int = 4 << 30
    """Of address space, most of which is never touched."""
    resident_bytes: int = 2 << 30
    """Of memory that is really in use."""
    threads: int = 256
    file_bytes: int = 256 << 20
    """Of any one file that is written."""
    output_bytes: int = 500 << 20
    """Of all written files together: of the job's result."""
    output_files: int = 100_000
    max_pixels: int = 36_000_000
    max_side: int = 8192
    max_frame_rate: int = 240
    max_decoded_pixels: int = 4_000_000_000_000
    """Of all frames that are decoded, shown or not."""
    max_edits: int = 1000
    """Segments of all edit lists of an MP4 or MOV file together."""
    max_duration_seconds: int = 12 * 3600
    max_streams: int = 32
    """Of video and audio."""
    max_other_streams: int = 256
    """Of subtitles, fonts and data, which are never read."""
    max_sample_rate: int = 384_000
    max_channels: int = 32
    max_audio_samples: int = 20_000_000_000
    """Of all channels together: twelve hours of eight channels at 48 kHz are 16.6 billion."""


@dataclass(frozen=True)
class MediaRequest:
    """The analysis of one file. ``container`` is what its bytes were recognised as: mp4, mov, avi, mkv or webm."""

    source: Path
    container: str
    out_directory: Path
    config: JobConfig = field(default_factory=JobConfig)
    decoder_threads: int = 1
    sandbox: Sandbox = "best-effort"
    limits: MediaLimits = field(default_factory=MediaLimits)

    def to_json(self) -> str:
        """With absolute paths, since the child works in another directory."""
        paths = {"source": os.path.abspath(self.source), "out_directory": os.path.abspath(self.out_directory)}
        # What was not set stays so: to set it beside another field may be refused.
        config = self.config.model_dump(mode="json", exclude_unset=True)
        return json.dumps(asdict(self) | paths | {"config": config})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The request that ``to_json`` wrote. Not validated further, since only the parent writes one."""
        values = json.loads(text)
        values["source"] = Path(values["source"])
        values["out_directory"] = Path(values["out_directory"])
        values["config"] = JobConfig.model_validate(values["config"])
        values["limits"] = MediaLimits(**values["limits"])
        return cls(**values)
