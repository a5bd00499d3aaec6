"""What is measured is held against the truth: with the same fixtures as the rest of the media tests."""

from tests.analysis.conftest import analyse

__all__ = ["analyse"]
