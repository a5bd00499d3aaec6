"""The whole deployment at a glance: its workers, what they run, what waits, and the sums of what all have counted.

May import ``jobs``, ``guard`` and ``metrics``; changes nothing but those sums.
"""
