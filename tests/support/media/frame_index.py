"""The index of a file's frames, as the analysis fills it, without analysing anything."""

from clipzy_worker.analysis.demux import DemuxPass
from clipzy_worker.analysis.timings import StageTimer
from clipzy_worker.decode.frame_index import FrameIndex
from clipzy_worker.decode.source import open_source
from clipzy_worker.sandbox.request import MediaRequest


def frame_index(request: MediaRequest) -> FrameIndex:
    index = FrameIndex()
    with open_source(request) as source:
        for _ in DemuxPass(source, limits=request.limits, audio=None, timer=StageTimer(), index=index):
            pass
    return index
