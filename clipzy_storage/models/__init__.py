"""The documents that Clipzy stores and shows: videos and jobs, job config, ``output.json``, Style DNA.

Pure pydantic models; may import ``keys`` and ``errors``, and touches neither files nor Redis.
"""
