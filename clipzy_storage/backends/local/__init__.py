"""Storage in a directory of the local machine or of a shared mount.

May import ``backends.base`` and what is below ``backends``; never ``backends.s3``, and no job is known here.
"""
