"""Poster, thumbnails, contact sheet and sprites.

May import ``analysers.base``, ``analysers.display_moments``, ``analysers.shots`` and numpy or OpenCV.
"""
