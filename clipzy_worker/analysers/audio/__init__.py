"""Loudness, silences, waveform, tempo, beats and speech.

May import numpy, and OpenCV to draw; knows no frame of the video.
"""
