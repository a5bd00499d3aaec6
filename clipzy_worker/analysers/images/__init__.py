"""Poster, thumbnails, contact sheet and sprites.

May import ``analysers.base``, ``analysers.moments``, ``analysers.shots`` and numpy or OpenCV.
"""
