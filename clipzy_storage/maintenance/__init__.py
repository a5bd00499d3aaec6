"""What is done to all jobs and files in the background: recovery, garbage collection, consistency check.

May import every other room of ``clipzy_storage``; called by the worker's janitor and by the commands.
"""
