"""Exports: the shots or clips of a result as a file for editing programs, spreadsheets and players. Pure."""

from clipzy_api.exports.document import Document, document_of
from clipzy_api.exports.files import FORMAT_NAMES, ExportFile, FormatName, TooManySections, exported
from clipzy_api.exports.media_file import MAX_MEDIA_LENGTH, MEDIA_PATTERN
from clipzy_api.exports.timeline import Of

__all__ = [
    "FORMAT_NAMES",
    "MAX_MEDIA_LENGTH",
    "MEDIA_PATTERN",
    "Document",
    "ExportFile",
    "FormatName",
    "Of",
    "TooManySections",
    "document_of",
    "exported",
]
