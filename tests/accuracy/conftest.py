"""Measurements against the truth, with the fixture of the analysis tests."""

from tests.analysis.conftest import analyse

__all__ = ["analyse"]
