"""Palette, grade and letterbox.

May import ``analysers.base``, ``analysers.display_moments``, ``analysers.shots`` and numpy or OpenCV.
"""
