"""Analysers: each listens to the one pass over the pictures and keeps what it needs, however long the film is."""
