"""Style DNA from the finished measurements.

Pure Python over ``clipzy_storage.models``; neither numpy nor OpenCV nor PyAV.
"""
