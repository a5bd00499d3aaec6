"""Style DNA: what the measurements of one film say of its style. Pure; each field is explained in docs/style-dna.md."""

from typing import Any


def extract(_measured: dict[str, Any]) -> dict[str, Any] | None:
    """The ``style`` of ``output.json``, but for ``created_at``, from its other parts."""
    return None
