"""What every process counts for `GET /metrics`: the table of metrics, and the thread that hands the counts on.

Anything in Clipzy may call ``count`` and ``observe``, which cost no request and raise nothing that passes by itself.
May import ``models`` and ``errors``; knows no Redis: ``clipzy_storage.fleet`` keeps the sums there.
"""

from clipzy_storage.metrics.counts import count, observe

__all__ = ["count", "observe"]
