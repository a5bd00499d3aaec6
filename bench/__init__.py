"""Clipzy measured side by side with simpler alternatives, in one run on one machine."""
