"""Who may do what: API keys, and the secret with which links to local storage are signed.

May import ``backends``, ``models`` and ``keys``. Knows no request and no job.
"""
