"""One Celery worker, and the media process that analyses a video for it.

May import ``clipzy_storage``; never ``clipzy_api`` or flask.
"""
