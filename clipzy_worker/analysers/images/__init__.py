"""Poster, thumbnails, contact sheet and sprites.

May import ``analysers.base``, ``analysers.shots`` and numpy or OpenCV.
"""
