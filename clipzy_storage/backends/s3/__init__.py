"""Storage in a bucket of S3 or of a service that speaks its protocol.

The only package that imports boto3; never ``backends.local``, and no job is known here.
"""
