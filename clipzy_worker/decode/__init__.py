"""Video files to arrays: opens untrusted files, scales frames, cuts audio.

Imports PyAV; may import ``analysers`` for the shapes that it fills.
"""
