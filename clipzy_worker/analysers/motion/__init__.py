"""Motion intensity and camera movement, from optical flow.

May import ``analysers.base``, ``analysers.shots`` and numpy or OpenCV.
"""
