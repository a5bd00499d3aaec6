"""Moments: which sections of a video are worth a clip, by a documented score of what was measured. Pure, but for
``pictures``, which looks at frames.

May import all other analysers and numpy or OpenCV.
"""
