"""Requests to addresses that a client has named: which addresses those may be, and how they are connected to.

May import ``config`` and ``errors``. Knows no job and no video.
"""
