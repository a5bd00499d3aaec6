"""Palette, grade and letterbox.

May import ``analysers.base``, ``analysers.moments``, ``analysers.shots`` and numpy or OpenCV.
"""
