"""What an older version left on disk, unpacked as if it had been stopped an hour ago."""

import json
import re
import tarfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

STOPPED_SECONDS_AGO = 3600
_MILLISECONDS = re.compile(rb"(?<!\d)1[78]\d{11}(?!\d)")
_DATE_AND_TIME = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=[.Z+])")


class OldDeployment:
    """Its directory, and what its front end answered about its jobs, by the state that they were left in."""

    def __init__(self, archive: Path, directory: Path) -> None:
        with tarfile.open(archive) as packed:
            packed.extractall(directory, filter="data")
        text = (directory / "expected.json").read_bytes()
        shift_seconds = int(time.time()) - STOPPED_SECONDS_AGO - json.loads(text)["made_at"]
        self.directory = directory
        # Results stay as they are, since digests of them are kept.
        self._expected: dict[str, Any] = json.loads(_shifted(text, shift_seconds)) | {
            "result": json.loads(text)["result"]
        }
        for path in (*(directory / ".clipzy/redis").rglob("*.aof"), *_records(directory / "storage")):
            path.write_bytes(_shifted(path.read_bytes(), shift_seconds))

    @property
    def redis_records(self) -> Path:
        return self.directory / ".clipzy/redis"

    def answer(self, state: str) -> Any:
        """A job in this state, or ``result`` of the completed one, as the old front end showed it."""
        return self._expected[state]

    def job_id(self, state: str) -> str:
        return str(self._expected[state]["job_id"])

    def source_of(self, state: str) -> bytes:
        return (self.directory / f"storage/uploads/{self.answer(state)['video_id']}/source.mp4").read_bytes()


def _records(storage: Path) -> list[Path]:
    """Records of jobs and videos, which age."""
    return [path for path in storage.rglob("*.json") if path.relative_to(storage).parts[0] in ("jobs", "uploads")]


def _shifted(text: bytes, seconds: int) -> bytes:
    """The same with every time moved, each in its own format and length."""
    text = _MILLISECONDS.sub(lambda found: b"%d" % (int(found[0]) + 1000 * seconds), text)
    return _DATE_AND_TIME.sub(lambda found: _moved(found[0].decode(), seconds).encode(), text)


def _moved(moment: str, seconds: int) -> str:
    return (datetime.fromisoformat(moment) + timedelta(seconds=seconds)).isoformat()
