"""``python -m ops config schema``: JSON Schemas of the stack files and the inventories, made from the models.

Editors use them to complete and check what you write; the program itself never reads them. They check names, types,
forms and ranges. ``config check`` also checks what takes two values or the disk.
"""

from __future__ import annotations

import argparse
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from ruamel.yaml import YAML

from ops.config import generated, stack_file
from ops.config.stack_file import PROJECT_FILE, StackFile
from ops.errors import OpsError
from rules.editors import INVENTORY_SCHEMA, STACK_SCHEMA
from rules.rule import names, spot
from settings import ENCRYPTED, Inventory, StackConfig

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_KEY: Final = "sshPrivateKey"
_ENCRYPTED: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"secure": {"type": "string", "description": "What `pulumi config set --secret` wrote."}},
    "required": ["secure"],
    "additionalProperties": False,
}
#: `pulumi new` can write a structure only so, and the program reads it.
_JSON_TEXT: Final = {"type": "string", "pattern": r"^\s*\{", "description": "The same as JSON."}
_WIDTH: Final = 110


def run(options: argparse.Namespace) -> int:
    """Write the files, or only check them; return the exit status. Raises OpsError."""
    return generated.update(FILES, command="python -m ops config schema", check=options.check)


def inventory_schema() -> dict[str, Any]:
    """The schema of an inventory file."""
    return {"$schema": _DIALECT, **Inventory.model_json_schema()}


def stack_schema() -> dict[str, Any]:
    """The schema of a ``Pulumi.<stack>.yaml``."""
    project, settings = stack_file.project(), StackConfig.model_json_schema()
    envelope = StackFile.model_json_schema()
    envelope["properties"]["config"] |= {
        "properties": {f"{project}:{name}": _value(name, it) for name, it in settings["properties"].items()},
        "required": [f"{project}:{name}" for name in settings["required"]],
        # Other namespaces are other packages'.
        "patternProperties": {f"^(?!{re.escape(project)}:)[^:]+:([^:]+|config:[^:]+)$": True},
        "additionalProperties": False,
    }
    return {"$schema": _DIALECT, **envelope, "required": ["config"], "$defs": settings["$defs"]}


def _value(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    if name == _KEY:
        return {**_ENCRYPTED, "description": schema["description"]}
    if name in ENCRYPTED:
        forms = dict.fromkeys(schema["patternProperties"], _ENCRYPTED)
        return {**schema, "patternProperties": forms}
    if "$ref" not in schema:
        return dict(schema)
    return {"anyOf": [{"$ref": schema["$ref"]}, _JSON_TEXT], **{k: it for k, it in schema.items() if k != "$ref"}}


def project_file() -> str:
    """``Pulumi.yaml`` with the settings described as the models do: all else in it as it is."""
    text = generated.current(PROJECT_FILE)
    yaml = YAML()
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.preserve_quotes = True
    project = yaml.load(text)
    wanted = dict(_descriptions())
    try:
        declared = project["config"]
        if {name: " ".join(declared[name]["description"].split()) for name in wanted if name in declared} == wanted:
            return text
        for name, description in wanted.items():
            declared.setdefault(name, {"default": ""})["description"] = description
    except (TypeError, KeyError, AttributeError):
        raise OpsError(
            f"{PROJECT_FILE} declares no settings under `config`; run this in the project's directory"
        ) from None
    written = io.StringIO()
    yaml.dump(project, written)
    return written.getvalue()


def _descriptions() -> Iterator[tuple[str, str]]:
    """What ``Pulumi.yaml`` says of each setting: what it is, whether it must be there, and what is inside."""
    for field in StackConfig.model_fields.values():
        name = str(field.alias)
        inside, of_each = spot(StackConfig, (name,)).type, ""
        if get_origin(inside) is tuple:
            inside, of_each = spot(StackConfig, (name, 0)).type, " of each"
        keys = [_inner(it) for it in inside.model_fields.values()] if names(inside) else []
        values = list(map(str, get_args(inside))) if get_origin(inside) is Literal else []
        yield (
            name,
            " ".join(
                [
                    *(["Required."] if field.is_required() else []),
                    str(field.description),
                    *([f"Keys{of_each}: {', '.join(keys)}."] if keys else []),
                    *([f"One of {', '.join(values)} ({field.get_default()})."] if values else []),
                ]
            ),
        )


def _inner(field: FieldInfo) -> str:
    default = field.get_default()
    if field.is_required():
        return f"{field.alias} (required)"
    shown = default if isinstance(default, str) else json.dumps(default) if isinstance(default, bool | int) else ""
    return f"{field.alias} ({shown})" if shown else str(field.alias)


def _text(schema: Callable[[], dict[str, Any]]) -> Callable[[], str]:
    return lambda: json.dumps(schema(), indent=2) + "\n"


#: What is made from the models, and by what.
FILES: Final[Mapping[Path, Callable[[], str]]] = {
    INVENTORY_SCHEMA: _text(inventory_schema),
    STACK_SCHEMA: _text(stack_schema),
    PROJECT_FILE: project_file,
}
