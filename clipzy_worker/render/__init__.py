"""Clips and rendered videos: sections of a source, decoded again, filtered, encoded, and verified.

Imports PyAV; may import ``decode`` and ``analysers``. Runs in the media process.
"""
