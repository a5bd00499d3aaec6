"""Reads and validates what a client sends, and checks the request before the first byte of its body is read.

May import ``schemas``, ``services`` and ``problems``; never a view.
"""
