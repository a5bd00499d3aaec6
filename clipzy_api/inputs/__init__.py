"""Reads and validates what a client sends, and makes the checks that come before the first byte of a body.

May import ``schemas``, ``services`` and ``problems``; never a view.
"""
