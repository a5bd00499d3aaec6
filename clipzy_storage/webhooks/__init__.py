"""Announces the ends of jobs to their webhooks: what is due, the durable record of it, signatures, and single attempts.

May import ``jobs``, ``access``, ``outbound``, ``backends`` and ``models``. Which threads deliver is the worker's.
"""
