"""Which processes may run together: membership with heartbeats, the rules, and the verification of shared mounts.

May import ``backends`` and ``redis_client``; knows no job.
"""
