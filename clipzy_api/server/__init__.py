"""Runs the application on granian: process set-up, lingering close, idle connections.

May import ``app`` and what is below it; the only package that imports granian.
"""
