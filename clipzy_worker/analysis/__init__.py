"""The media process itself (``python -m clipzy_worker.analysis``): one demux pass that feeds all analysers.

May import ``decode``, ``analysers``, ``style`` and ``sandbox``; nothing of the Celery process.
"""
