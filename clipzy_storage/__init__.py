"""What front end and worker share: settings, storage, job records and the guard.

Nothing is imported here: the smallest of our processes, the leash in ``process.py``, starts in a tenth of the time so.
"""
