"""The HTTP front end and the ``clipzy`` command.

May import ``clipzy_storage``; never ``clipzy_worker`` or a media library.
"""
