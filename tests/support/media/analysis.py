"""The analysis without a media process, which takes time to start and makes no difference to what is measured."""

import io
from typing import Any

from clipzy_worker.analysis.run import analyse
from clipzy_worker.sandbox.protocol import Report
from clipzy_worker.sandbox.request import MediaRequest


def analysed(request: MediaRequest) -> dict[str, Any]:
    """The result as JSON, as a reader of ``output.json`` sees it."""
    return analyse(request, Report(io.BytesIO())).model_dump(mode="json")
