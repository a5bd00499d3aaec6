"""The Flask views, one module per resource: parse, call, answer.

May import ``inputs``, ``openapi``, ``schemas`` and ``services``; the job protocol itself is in ``clipzy_storage.jobs``.
"""
