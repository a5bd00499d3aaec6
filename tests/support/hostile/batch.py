"""Analyses every file of a folder, one after the other, in one process confined like a real one.

Given to an interpreter as text, in the place of a media process. It writes down each file before it opens it, and then
what came of it, so that whoever follows knows which one has killed it.
"""

import io
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.confinement import confine, follow_parent
from clipzy_worker.sandbox.protocol import Report
from clipzy_worker.sandbox.request import MediaRequest

follow_parent(os.getppid())
stdout = os.fdopen(os.dup(1), "w")
names, request = json.loads(sys.argv[1]), MediaRequest.from_json(sys.stdin.read())
confine(request)

from clipzy_worker.analysis.run import analyse  # noqa: E402 - as the real one: after it is confined


def outcome(path: Path) -> str:
    try:
        Report(io.BytesIO()).result(analyse(replace(request, source=path), Report(io.BytesIO())))
        return "analysed"
    except InvalidMedia as error:
        return f"refused: {error}"
    except MemoryError:
        return "bounded: memory"
    except Exception:  # noqa: BLE001 - which is what is looked for
        return f"error: {traceback.format_exc()}"


with Path("outcomes.jsonl").open("a") as outcomes:
    for name in names:
        print(json.dumps([name, None]), file=outcomes, flush=True)
        print(json.dumps([name, outcome(request.source / name)]), file=outcomes, flush=True)

source = {"duration_seconds": 0, "width": 1, "height": 1, "frame_rate": None, "video_codec": "", "audio_codec": None}
result = {"source": source, "shots": [], "artifacts": [], "warnings": [], "timings": {}}
print(json.dumps({"result": result}), file=stdout, flush=True)
