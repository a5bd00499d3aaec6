"""Footage to arrays: opening untrusted files, frames, audio.

Imports PyAV; may import ``analysers`` for the shapes that it fills.
"""
