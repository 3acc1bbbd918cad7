"""An inventory file that is changed in place: comments, order and quotes of what stays are as they were.

The file may lack host keys, which the program itself refuses. Whatever is written is first read again, by the
program's own reader, and must be exactly what was meant.
"""

from __future__ import annotations

import copy
import io
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.emitter import RoundTripEmitter
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import MappingEndEvent
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from ruamel.yaml.tag import Tag

from ops.errors import OpsError
from ops.inventory import trailing
from ops.inventory.source_machines import lacks_key
from rules import files, strict_yaml
from rules.editors import INVENTORY_SCHEMA, modeline
from rules.rule import Finding
from settings import SettingsError, inventory_mistakes, read_inventory, unreadable

_KEYS: Final = ("name", "host", "port", "user", "hostKey", "node", "bastion", "generation", "state")
_WIDTH: Final = 1_000_000
_ANCHOR: Final = "bastion"


class _AsWritten(VersionedResolver):
    """Plain scalars are texts, but for nothing: so each is written as it was, also where YAML versions disagree."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is ScalarNode and implicit[0]:
            nothing = value in ("", "~", "null", "Null", "NULL")
            return Tag(suffix=f"tag:yaml.org,2002:{'null' if nothing else 'str'}")
        return super().resolve(kind, value, implicit)


class InventoryFile:
    """``minions`` is what the file says, as plain data; the methods change it and the file's text alike."""

    def __init__(self, path: Path, text: str) -> None:
        """``text`` is the file's, "" for a new one. Raises OpsError with every mistake but missing host keys."""
        self.path, self._found = path, text
        self._before: dict[str, Any] = {}
        raw, troubles = strict_yaml.read(text)
        self._raw: dict[str, Any] = {"minions": []}
        first = f"{modeline(INVENTORY_SCHEMA, path)}\n"
        self._head = text if first in text else first + text
        self._yaml, self._document = _yaml(), CommentedMap(minions=CommentedSeq())
        if raw is None and not troubles:
            return
        _accept(path, text, raw, troubles)
        self._head, self._raw = "", _unshared(raw)
        self._before = _unshared(raw)
        try:
            self._document = _yaml().load(text)
        except (YAMLError, ValueError, RecursionError) as error:
            raise OpsError(f"{path} cannot be changed in place ({str(error).splitlines()[0]}); write it anew") from None
        trailing.restore(self._document["minions"], text)
        self._yaml = _yaml(offset=_offset(self._document["minions"]))

    @classmethod
    def read(cls, path: Path, *, new: bool) -> InventoryFile:
        """The file at ``path``; where there is none, an empty one if it may be ``new``. Raises OpsError."""
        try:
            return cls(path, files.text(path))
        except files.UnreadableError as error:
            if new and error.flaw == "absent":
                return cls(path, "")
            remedy = "; `python -m ops inventory import` writes an inventory" if error.flaw == "absent" else ""
            raise OpsError(f"{unreadable(str(path), error)}{remedy}") from None

    @property
    def minions(self) -> list[dict[str, Any]]:
        """The minions' entries, for reading only."""
        return list(self._raw["minions"])

    @property
    def machines(self) -> list[dict[str, Any]]:
        """All entries, of minions and others, for reading only."""
        return [*self._raw["minions"], *(self._raw.get("others") or [])]

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add a minion after the others."""
        items: CommentedSeq = self._document["minions"]
        tail = trailing.take(items, len(items) - 1) if items else ""
        self._raw["minions"].append({})
        items.append(CommentedMap())
        for key in _KEYS:
            if key in entry:
                self.set(len(items) - 1, key, entry[key])
        trailing.put(items, len(items) - 1, tail)

    def remove(self, index: int) -> None:
        """Remove a minion; a comment between it and the next one stays."""
        items: CommentedSeq = self._document["minions"]
        before = trailing.take(items, index - 1) if index else ""
        after = trailing.take(items, index)
        del items[index], self._raw["minions"][index]
        if index:
            trailing.put(items, index - 1, before + after)
        else:
            trailing.put_first(self._document, "minions", after)

    def set(self, index: int, key: str, value: Any) -> None:
        """Give a minion's ``key`` a value; a mapping becomes one with all that are equal."""
        items: CommentedSeq = self._document["minions"]
        written = self._bastion(value) if isinstance(value, Mapping) else _scalar(value)
        self._raw["minions"][index][key] = copy.deepcopy(value)
        tail = trailing.take(items, index)
        _put(items[index], key, written)
        trailing.put(items, index, tail)

    def drop(self, index: int, key: str) -> None:
        """Take ``key`` from a minion."""
        items: CommentedSeq = self._document["minions"]
        tail = trailing.take(items, index)
        del self._raw["minions"][index][key], items[index][key]
        trailing.put(items, index, tail)

    def pin_bastion(self, host: str, port: int, key: str, *, was: str | None = None) -> None:
        """Write the host key of a bastion wherever it stands without one, or with the one that it ``was``."""
        items: CommentedSeq = self._document["minions"]
        for index, raw in enumerate(self._raw["minions"]):
            bastion = raw.get("bastion")
            here = bastion and (bastion["host"], bastion.get("port", 22)) == (host, port)
            if here and bastion.get("hostKey") in (None, was):
                bastion["hostKey"] = key
                tail = trailing.take(items, index)
                _put(items[index]["bastion"], "hostKey", _scalar(key))
                trailing.put(items, index, tail)

    def _bastion(self, value: Mapping[str, Any]) -> CommentedMap:
        for machine, raw in zip(self._document["minions"], self._raw["minions"], strict=True):
            if raw.get("bastion") == value:
                shared: CommentedMap = machine["bastion"]
                return shared
        made = CommentedMap({key: _scalar(value[key]) for key in _KEYS if key in value})
        made.fa.set_flow_style()
        taken = {it.anchor.value for it in _mappings(self._document) if it.anchor.value}
        numbered = (f"{_ANCHOR}-{number}" for number in range(2, len(taken) + 3))
        made.yaml_set_anchor(next(it for it in (_ANCHOR, *numbered) if it not in taken))
        return made

    def text(self) -> str:
        """The whole file. Raises OpsError where it is not what was meant, or would be refused."""
        written = io.StringIO()
        try:
            # A copy, because ruamel.yaml writes some comments but once.
            self._yaml.dump(copy.deepcopy(self._document), written)
        except (YAMLError, ValueError, RecursionError) as error:
            raise OpsError(f"{self.path} cannot be changed in place ({error}); write it anew") from None
        text = self._head + written.getvalue()
        raw, troubles = strict_yaml.read(text)
        _accept(self.path, text, raw, troubles)
        if raw != self._raw:
            raise OpsError(f"{self.path} cannot be changed in place without changing more of it; write it anew")
        return text

    @property
    def changed(self) -> bool:
        """Whether the file does not say yet what is meant."""
        return self._raw != self._before

    def write(self) -> None:
        """Write the file, whole or not at all, when anything changed. Raises OpsError."""
        if not self.changed:
            return
        text = self.text()
        path = Path(os.path.realpath(self.path))
        try:
            if path.exists() and path.read_bytes() != self._found.encode():
                raise OpsError(f"{self.path} was changed by somebody else meanwhile; run again")
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                beside = Path(file.name)
                try:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                    beside.chmod(mode)
                    beside.replace(path)
                except OSError:
                    beside.unlink()
                    raise
        except OSError as error:
            raise OpsError(f"{self.path} cannot be written ({error.strerror})") from None


class _Emitter(RoundTripEmitter):
    """Begins a new line after a list's entry in braces with a comment behind it, which ruamel.yaml 0.19 may not."""

    def expect_flow_mapping_key(self) -> None:
        ends = isinstance(self.event, MappingEndEvent)
        super().expect_flow_mapping_key()
        if ends:
            self.no_newline = False


def _yaml(offset: int = 2) -> YAML:
    yaml = YAML()
    yaml.Resolver, yaml.Emitter = _AsWritten, _Emitter
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=offset + 2, offset=offset)
    return yaml


def _offset(items: CommentedSeq) -> int:
    """How far the dashes of the list are indented."""
    return 2 if items.fa.flow_style() else max(int(items.lc.item(0)[1]) - 2, 0)


def _accept(path: Path, text: str, raw: object, troubles: list[Finding]) -> None:
    """Raises OpsError with every mistake but a host key that is missing."""
    _, found = read_inventory(text, raw, troubles)
    if wrong := [it for it in found if not lacks_key(it)]:
        raise OpsError(str(SettingsError("the inventory", inventory_mistakes(str(path), text, wrong))))


def _unshared(raw: Any) -> Any:
    """The same data in which no two places are one object."""
    if isinstance(raw, dict):
        return {key: _unshared(value) for key, value in raw.items()}
    return [_unshared(it) for it in raw] if isinstance(raw, list) else raw


def _scalar(value: Any) -> Any:
    """A value as it is to be written: in quotes when it is a text that would be read as something else."""
    if isinstance(value, str) and strict_yaml.read(value, ambiguous=strict_yaml.AMBIGUOUS) != (value, []):
        return DoubleQuotedScalarString(value)
    return value if isinstance(value, str) else str(value)


def _put(mapping: CommentedMap, key: str, value: Any) -> None:
    """Set the key, a new one in the usual order."""
    if key in mapping:
        mapping[key] = value
        return
    later = _KEYS[_KEYS.index(key) + 1 :]
    place = next((place for place, name in enumerate(mapping) if name in later), len(mapping))
    mapping.insert(place, key, value)


def _mappings(node: Any) -> Iterator[CommentedMap]:
    if isinstance(node, CommentedMap):
        yield node
    for it in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _mappings(it)
