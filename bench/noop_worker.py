"""`clipzy worker` with a pipeline that does nothing, so that only the protocol around it is left to measure."""

import sys
from typing import Any

from clipzy_storage.models.analysis import Analysis
from clipzy_worker.__main__ import main
from clipzy_worker.processing import analyse

FOUND = Analysis.model_validate(
    {
        "source": {
            "duration_seconds": 1.0,
            "width": 16,
            "height": 16,
            "frame_rate": 25.0,
            "video_codec": "h264",
            "audio_codec": None,
        },
        "shots": [],
        "artifacts": [],
        "warnings": [],
        "timings": {},
    }
)


def find_nothing(*_: Any, **__: Any) -> Analysis:
    return FOUND


if __name__ == "__main__":
    analyse.run_stages = find_nothing
    sys.exit(main())
