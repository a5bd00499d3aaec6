"""Clipzy measured side by side with what it could have been, in one run on one machine."""
