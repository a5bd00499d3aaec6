"""The job protocol: records in Redis, one Lua script per transition, durable records, and every operation on a job.

May import ``backends``, ``models`` and ``redis_client``; front ends and workers call it, and it calls neither.
"""
