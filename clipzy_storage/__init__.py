"""Shared by front ends and workers: settings, data models, storage backends, the job protocol, the guard, maintenance.

Imports neither ``clipzy_api`` nor ``clipzy_worker``, and no web, queue or media library. Nothing is imported here, so
that the smallest process, ``process.py``, starts in a tenth of the time.
"""
