"""Everything that opens footage, kept in a child process of its own.

``request`` and ``process`` belong to the parent and import no media library; the rest runs in the child.
"""
