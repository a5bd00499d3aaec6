"""Uploads over several requests: their records, their locks, and how one becomes a video.

May import ``jobs``, ``backends`` and ``models``. Knows no request: which protocol the bytes came by is the front end's.
"""
