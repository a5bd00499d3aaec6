"""How much moves, and what the camera does, from optical flow.

May import ``analysers.base``, ``analysers.shots`` and numpy or OpenCV.
"""
