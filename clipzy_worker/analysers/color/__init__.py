"""Palette, grade and letterbox.

May import ``analysers.base``, ``analysers.shots`` and numpy or OpenCV.
"""
