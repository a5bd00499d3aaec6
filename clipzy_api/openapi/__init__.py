"""Builds the OpenAPI document from the views and their schemas.

May import ``inputs``, ``schemas`` and ``problems``; never a view.
"""
