"""What all parts of a job's ``config`` have in common."""

from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator


def _whole(value: Any) -> Any:
    """320.0 is an integer in JSON Schema, and some programs write it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]


class Options(BaseModel):
    # Strict: a number in quotes, or 1 for true, is a mistake of the client, which a conversion would hide.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_the_first_unknown(cls, value: Any) -> Any:
        """Pydantic reports every mistake, and a client may send thousands of unknown fields."""
        if not isinstance(value, dict):
            return value
        unknown = islice((name for name in value if name not in cls.model_fields), 1)
        known = (name for name in cls.model_fields if name in value)
        return {name: value[name] for name in (*known, *unknown)}
