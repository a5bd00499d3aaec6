"""Analyses every file of a directory, one after the other, in one process that is confined like a real one.

Passed to an interpreter as text, in the place of a media process. It logs each file before it opens it, and then the
outcome, so that the parent knows which file has killed it.
"""

import io
import json
import os
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from clipzy_storage.process import die_with_parent
from clipzy_worker.errors import InvalidMedia
from clipzy_worker.sandbox.confinement import confine
from clipzy_worker.sandbox.protocol import Report
from clipzy_worker.sandbox.request import MediaRequest

die_with_parent(os.getppid())
names, request = json.loads(sys.argv[1]), MediaRequest.from_json(sys.stdin.read())
confine(request)

from clipzy_worker.analysis.run import analyse  # noqa: E402 - after it is confined, like the real one


def outcome(path: Path) -> str:
    try:
        Report(io.BytesIO()).result(analyse(replace(request, source=path), Report(io.BytesIO())))
        return "analysed"
    except InvalidMedia as error:
        return f"refused: {error}"
    except MemoryError:
        return "bounded: memory"
    except Exception:  # noqa: BLE001 - any error is an outcome
        return f"error: {traceback.format_exc()}"


with Path("outcomes.jsonl").open("a") as outcomes:
    for name in names:
        print(json.dumps([name, None]), file=outcomes, flush=True)
        print(json.dumps([name, outcome(request.source / name)]), file=outcomes, flush=True)
