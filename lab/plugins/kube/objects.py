"""What an object's inputs get before they are sent, and what of the live object is kept."""

from __future__ import annotations

import base64
import copy
import hashlib
import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from lab.plugins.common.model import Naming, ProviderError, Resource
from lab.plugins.common.values import Properties, Secret, Unknown, Value, has_secret, has_unknown, plain, secret
from lab.plugins.kube.kinds import Kind

Object = dict[str, Any]

AUTONAMED: Final = "pulumi.com/autonamed"
SKIP_AWAIT: Final = "pulumi.com/skipAwait"
WAIT_FOR: Final = "pulumi.com/waitFor"
TIMEOUT: Final = "pulumi.com/timeoutSeconds"
PATCH_FORCE: Final = "pulumi.com/patchForce"
PATCH_MANAGER: Final = "pulumi.com/patchFieldManager"
PROPAGATION: Final = "pulumi.com/deletionPropagationPolicy"

_SERVER_OWNED: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_INPUTS, _API_VERSION, _MANAGER = "__inputs", "__initialApiVersion", "__fieldManager"


def annotation(body: Object, name: str) -> str:
    """An annotation's value; "" without it."""
    metadata = body.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    value = annotations.get(name) if isinstance(annotations, Mapping) else None
    return value if isinstance(value, str) else ""


def identifier(body: Object) -> str:
    """The resource's id: `namespace/name`, or `name` for kinds without a namespace."""
    metadata = body["metadata"]
    namespace = metadata.get("namespace")
    return f"{namespace}/{metadata['name']}" if namespace else str(metadata["name"])


def parse_identifier(kind: Kind, text: str) -> tuple[str, str]:
    """Namespace and name of an id."""
    namespace, _, name = text.rpartition("/")
    return (namespace or "default" if kind.namespaced else ""), name


def prepared(
    resource: Resource, kind: Kind, old: Properties, new: Properties, *, naming: Naming, namespace: str
) -> Properties:
    """The inputs with apiVersion, kind, name and namespace filled in; secret marks stay."""
    body = _without_nulls(plain(new))
    body["apiVersion"], body["kind"] = kind.api_version, kind.kind
    if isinstance(body.get("metadata"), Unknown):
        return marked(body, new)
    metadata = body.setdefault("metadata", {})
    for field in _SERVER_OWNED:
        metadata.pop(field, None)
    if metadata.get("generateName"):
        raise ProviderError(
            "the `.metadata.generateName` field is not supported in Server-Side Apply mode; set `.metadata.name` "
            "or leave both out for a name of Pulumi's own"
        )
    if kind.kind == "Secret" and not has_unknown(body):
        _encode_string_data(body)
    if not metadata.get("name"):
        _name(resource, kind, metadata, plain(old), naming)
    if kind.namespaced and not metadata.get("namespace"):
        metadata["namespace"] = namespace
    elif not kind.namespaced:
        metadata.pop("namespace", None)
    return marked(body, new)


def _encode_string_data(body: Object) -> None:
    """The server never gives `stringData` back, so the inputs have what it makes of it; secret either way."""
    strings = body.pop("stringData", None) or {}
    if strings:
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in strings.items()}
        body["data"] = {**(body.get("data") or {}), **encoded}


def _name(resource: Resource, kind: Kind, metadata: Object, old: Object, naming: Naming) -> None:
    if kind.patch:
        raise ProviderError("patch resources require the `.metadata.name` field to be set")
    if old and annotation(old, AUTONAMED) == "true":
        metadata["name"] = old["metadata"]["name"]
    elif naming.disabled:
        raise ProviderError("autonaming is disabled, resource requires the .metadata.name field to be set")
    elif naming.proposed:
        metadata["name"] = naming.proposed
    else:
        digest = hashlib.sha256(naming.seed).hexdigest() if naming.seed else secrets.token_hex()
        metadata["name"] = f"{resource.name}-{digest[:8]}"
    annotations = metadata.setdefault("annotations", {})
    if isinstance(annotations, dict):
        annotations[AUTONAMED] = "true"


def _without_nulls(value: Value) -> Value:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def marked(body: Object, like: Properties) -> Properties:
    """The object with everything secret that is secret in `like`, and a Secret's data in any case."""
    result = _marked(body, like)
    if body.get("kind") == "Secret":
        for field in ("data", "stringData"):
            if result.get(field) is not None:
                result[field] = secret(result[field])
    return result


def _marked(body: Object, like: Properties) -> Properties:
    result = dict(body)
    for key, value in like.items():
        if key not in result:
            continue
        if isinstance(value, Mapping) and isinstance(result[key], Mapping):
            result[key] = _marked(result[key], dict(value))
        elif has_secret(value):
            result[key] = secret(result[key])
    return result


def new_manager() -> str:
    """A field manager that no other resource has: what it applies, it can give back."""
    return f"pulumi-kubernetes-{secrets.token_hex(4)}"


def checkpoint(live: Object, inputs: Properties, manager: str) -> Properties:
    """The state: the live object, with the inputs and the field manager beside it."""
    state = marked(copy.deepcopy(live), inputs)
    body = plain(inputs)
    state[_INPUTS] = inputs
    state[_API_VERSION] = body.get("apiVersion", "")
    state[_MANAGER] = manager
    return state


def manager_of(state: Properties, inputs: Object) -> str:
    """The field manager: the annotation's, else the one in the state, else a new one."""
    return annotation(inputs, PATCH_MANAGER) or plain(state.get(_MANAGER)) or new_manager()


def inputs_of(state: Properties) -> Properties:
    """The inputs that a state was made from."""
    found = state.get(_INPUTS)
    bare: Properties = found.value if isinstance(found, Secret) else found or {}
    return bare


def live_inputs(live: Object, inputs: Object) -> Object:
    """The live values of exactly the fields that the inputs have: what a refresh compares with the program.

    What the server writes differently but means the same (1 and "1000m", an empty list and none) stays as written.
    """
    found = {key: _live(live[key], value) for key, value in inputs.items() if key in live}
    return found | {key: value for key, value in inputs.items() if key not in live and _is_empty(value)}


def _live(live: Any, written: Any) -> Any:
    if isinstance(written, Mapping) and isinstance(live, Mapping):
        return live_inputs(dict(live), dict(written))
    if isinstance(written, list) and isinstance(live, list):
        paired = [_live(item, own) for item, own in zip(live, written, strict=False)]
        return paired + live[len(written) :]
    return written if _means_the_same(live, written) else live


def _is_empty(value: Any) -> bool:
    return value in (None, "", [], {}) or value is False or (isinstance(value, int) and value == 0)


_QUANTITY = re.compile(r"([+-]?[0-9.]+)(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?")
_SCALES = {suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)} | {
    f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)
}


def _means_the_same(one: Any, other: Any) -> bool:
    if one == other:
        return True
    quantities = [_quantity(value) for value in (one, other)]
    return quantities[0] is not None and quantities[0] == quantities[1]


def _quantity(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = _QUANTITY.fullmatch(str(value))
    if not match or match[1].count(".") > 1 or not any(sign.isdigit() for sign in match[1]):
        return None
    scale = _SCALES.get(match[2], Decimal(1)) if match[2] != "m" else Decimal("0.001")
    return Decimal(match[1]) * scale


def imported_inputs(live: Object) -> Object:
    """The inputs of an object that Pulumi did not make: all of it but what the server wrote."""
    inputs = {key: copy.deepcopy(value) for key, value in live.items() if key != "status"}
    for field in _SERVER_OWNED:
        inputs["metadata"].pop(field, None)
    return inputs
