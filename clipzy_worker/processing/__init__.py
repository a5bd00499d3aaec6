"""One attempt at one job in a pool process: claim, fetch the source, analyse, store the results, commit.

May import ``sandbox`` and ``stages``; loads neither Celery nor media code.
"""
