"""Algorithms over arrays, by family: shots, motion, color, images, audio.

May import numpy and OpenCV, and no PyAV; writes no file but artifacts.
"""
