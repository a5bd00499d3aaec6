"""The HTTP front end, the Python client and the ``clipzy`` command.

May import ``clipzy_storage``; never ``clipzy_worker`` or a media library.
"""
