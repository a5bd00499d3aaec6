"""docs/pipeline.md, docs/clips.md and docs/style-dna.md explain every figure of output.json."""

from pathlib import Path
from typing import Any, get_args

import pytest

from clipzy_storage.models.output import PIPELINE_VERSION, ArtifactKind, json_schema
from clipzy_storage.models.style_dna import StyleDna

DOCS = Path(__file__).parents[2] / "docs"
PIPELINE, CLIPS, STYLE = ((DOCS / f"{name}.md").read_text() for name in ("pipeline", "clips", "style-dna"))
FIGURES = PIPELINE + CLIPS
STYLE_MODELS = {"StyleDna", "ColorGrade", "AudioStyle", "TransitionStyle", "DetectedBeat"}


def fields_of(schema: dict[str, Any]) -> list[str]:
    models = {name: model for name, model in schema["$defs"].items() if name not in STYLE_MODELS}
    return sorted({field for model in (schema, *models.values()) for field in model.get("properties", {})})


@pytest.mark.parametrize("field", fields_of(json_schema()))
def test_every_figure_is_explained(field: str) -> None:
    assert f"`{field}`" in FIGURES or f".{field}`" in FIGURES or f"`{field}[" in FIGURES


@pytest.mark.parametrize("kind", get_args(ArtifactKind))
def test_every_kind_of_file_is_explained(kind: str) -> None:
    assert f"`{kind}`" in PIPELINE


@pytest.mark.parametrize("field", StyleDna.model_fields)
def test_every_field_of_a_style_is_explained(field: str) -> None:
    assert f"`{field}`" in STYLE or f"`{field}." in STYLE


def test_the_version_is_the_code_s() -> None:
    assert f"is now {PIPELINE_VERSION}." in PIPELINE
