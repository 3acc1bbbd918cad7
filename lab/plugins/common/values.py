"""Property values: the engine's protobuf structs to plain Python values and back.

`pulumi.provider.experimental.PropertyValue` reads an unknown value as an ordinary string and cannot write one, so
previews need this codec of our own. Inside a provider a property is None, bool, int, float, str, list, dict,
`Secret` (wraps one of these) or `UNKNOWN` (not known before the update runs). Assets and archives stay the dicts
that the engine sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the protocol's mark of a secret
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Value = Any
"""One property, as the module's docstring lists them."""
Properties = dict[str, Value]


class Unknown:
    """A value that only the update itself will know. Its only instance is `UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that state, logs and displays keep encrypted or hidden."""

    value: Value


def decode(struct: struct_pb2.Struct) -> Properties:
    """The engine's struct as plain values."""
    return {key: _decode(item) for key, item in struct.fields.items()}


def encode(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """Plain values as the engine's struct."""
    return struct_pb2.Struct(fields={key: _encode(item) for key, item in properties.items()})


def _decode(item: struct_pb2.Value) -> Value:
    match item.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if item.string_value == _UNKNOWN_STRING else item.string_value
        case "number_value":
            number = item.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return item.bool_value
        case "list_value":
            return [_decode(element) for element in item.list_value.values]
        case "struct_value":
            return _decode_struct(item.struct_value)
        case _:
            return None


def _decode_struct(struct: struct_pb2.Struct) -> Value:
    fields = struct.fields
    signature = fields[_SIGNATURE].string_value if _SIGNATURE in fields else ""
    if signature == _SECRET:
        return secret(_decode(fields["value"]))
    if signature == _OUTPUT:
        value = _decode(fields["value"]) if "value" in fields else UNKNOWN
        return secret(value) if "secret" in fields and fields["secret"].bool_value else value
    return decode(struct)


def _encode(value: Value) -> struct_pb2.Value:
    match value:
        case None:
            kind: dict[str, Any] = {"null_value": struct_pb2.NULL_VALUE}
        case bool():
            kind = {"bool_value": value}
        case int() | float():
            kind = {"number_value": value}
        case str():
            kind = {"string_value": value}
        case Unknown():
            kind = {"string_value": _UNKNOWN_STRING}
        case Secret():
            kind = {"struct_value": encode({_SIGNATURE: _SECRET, "value": value.value})}
        case Mapping():
            kind = {"struct_value": encode(value)}
        case list() | tuple():
            kind = {"list_value": struct_pb2.ListValue(values=[_encode(element) for element in value])}
        case _:
            raise TypeError(f"a property cannot hold a {type(value).__name__}")
    return struct_pb2.Value(**kind)


def secret(value: Value) -> Secret:
    """The value as a secret; a secret stays as it is."""
    return value if isinstance(value, Secret) else Secret(value)


def plain(value: Value) -> Value:
    """A deep copy without secret marks; what is unknown stays `UNKNOWN`."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def has_unknown(value: Value) -> bool:
    """Whether any part of the value is unknown."""
    return _any(value, lambda item: isinstance(item, Unknown))


def has_secret(value: Value) -> bool:
    """Whether any part of the value is secret."""
    return _any(value, lambda item: isinstance(item, Secret))


def _any(value: Value, test: Any) -> bool:
    if test(value):
        return True
    if isinstance(value, Secret):
        return _any(value.value, test)
    if isinstance(value, Mapping):
        return any(_any(item, test) for item in value.values())
    if isinstance(value, list):
        return any(_any(item, test) for item in value)
    return False
