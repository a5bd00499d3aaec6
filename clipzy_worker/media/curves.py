"""What was measured over time, as a file beside the result: for pictures of it, and for who wants more than a mean."""

import json
from typing import Any

from clipzy_worker.media.analysers import Analysers
from clipzy_worker.media.request import MediaRequest

_MOTION = "motion.json"


def write_curves(analysers: Analysers, request: MediaRequest) -> list[dict[str, Any]]:
    """Write and list them. Raises ``OSError``."""
    if analysers.motions is None:
        return []
    (request.out_folder / _MOTION).write_text(json.dumps(analysers.motions.curve))
    return [{"file": _MOTION, "kind": "curves", "content_type": "application/json"}]
