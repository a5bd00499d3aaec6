"""The media process as its parent sees it, the protocol between both, and the confinement it puts on itself.

May import ``errors`` and ``stages`` of the worker, and no media library.
"""
