"""Style DNA from the measurements of a video.

Pure Python over ``clipzy_storage.models``; neither numpy nor OpenCV nor PyAV.
"""
