"""The Celery process: application, transport, shutdown, liveness, and its periodic threads.

The only package that imports Celery, ``clipzy_worker.flower`` aside; may import ``processing``; loads no media code.
"""
