"""What all models of settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic_core import CoreSchema

from rules.rule import spot


class Model(BaseModel):
    """Frozen; camelCase in YAML (``load`` takes nothing else), snake_case in Python."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, object]:
        """What a setting is for, and then what it must be: an editor shows both."""
        whole = handler(schema)
        for name, field in handler.resolve_ref_schema(whole)["properties"].items():
            field.pop("title", None)
            rule = spot(cls, (name,)).rule
            if rule and field.get("description", rule.text) != rule.text:
                field["description"] += f" It must be {rule.text}."
        return whole
