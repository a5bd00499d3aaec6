"""The settings table, its validation and help, how it is read from the environment and ``.env``, and logging.

May import ``errors`` and ``keys`` only.
"""
