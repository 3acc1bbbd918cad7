"""Mistakes that only several settings of pods and Service together show.

They are found in sections with other mistakes, too: what is wrong there is left out, and so is every contradiction that
depends on it.
"""

from __future__ import annotations

import copy
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from rules import quantities
from rules.rule import Finding, Place, findings, spot
from rules.serving import Php, Service, Shared

_PROD_REPLICAS: Final = 2
_UNPRIVILEGED_PORT: Final = 1024
_ROUNDS: Final = 4
_M = TypeVar("_M", bound=BaseModel)


def in_config(raw: Mapping[str, object], *, secret_env: object) -> Iterator[Finding]:
    """What does not go together in a stack's configuration. Only the names in ``secret_env`` are checked."""
    if service := _section(Service, raw.get("service")):
        yield from _service(service)
    if php := _section(Php, raw.get("php")):
        value = php.value
        yield from _resources(php)
        yield from _writable(php)
        if value.user is not None and value.port < _UNPRIVILEGED_PORT:
            yield from php.unless("port", "user", found=Finding(("php", "port"), "low_port", value.port))
        for name in sorted(set(value.env) & set(_names(secret_env))):
            before = ("secretEnv", name)
            yield Finding(("php", "env", name), "twice", "", {"which": "environment variables", "before": before})


def in_farm(raw: Mapping[str, object], *, minions: int) -> Iterator[Finding]:
    """What does not go together with an inventory of ``minions`` minions."""
    php = _section(Php, raw.get("php"))
    if php and php.value.host_port is not None and minions < 2 * php.value.replicas:
        context = {"replicas": php.value.replicas, "needed": 2 * php.value.replicas, "there": minions}
        found = Finding(("php", "hostPort"), "few_minions", php.value.host_port, context)
        yield from php.unless("replicas", "hostPort", found=found)


def in_shared(raw: Mapping[str, object], *, site: object) -> Iterator[Finding]:
    """What does not go together with the directories that pods write to; ``site`` is the site's own on the volume."""
    entries = raw.get("shared")
    shared = [_section(Shared, it) for it in entries] if isinstance(entries, list) else []
    php = _section(Php, raw.get("php"))
    names: dict[str, Place] = {}
    paths: dict[str, Place] = {path: place for place, path in _writable_paths(php)} if php else {}
    for index, section in enumerate(shared):
        if section is None:
            continue
        it = section.value
        place: Place = ("shared", index)
        for part, value, seen, which in (("name", it.name, names, "names"), ("path", it.path, paths, "directories")):
            if section.knows(part) and (before := seen.setdefault(value, (*place, part))) != (*place, part):
                yield Finding((*place, part), "twice", value, {"which": which, "before": before})
        if it.name == site and section.knows("name"):
            yield Finding((*place, "name"), "site_name", it.name)
        if php and php.knows("docroot") and section.knows("path") and _in_site(it.path, php.value):
            yield Finding((*place, "path"), "in_site", it.path, {"docroot": php.value.docroot})


def in_production(raw: Mapping[str, object]) -> Iterator[Finding]:
    """What is refused where visitors depend on it, and would be right elsewhere."""
    php = _section(Php, raw.get("php"))
    if raw.get("environment") != "prod" or php is None:
        return
    if "@sha256:" not in php.value.image:
        found = Finding(("php", "image"), "prod_image", php.value.image)
        yield from php.unless("image", found=found)
    if php.value.replicas < _PROD_REPLICAS:
        yield from php.unless("replicas", found=Finding(("php", "replicas"), "prod_replicas", php.value.replicas))


def _service(service: _Section[Service]) -> Iterator[Finding]:
    it = service.value
    if it.type == "ClusterIP" and it.external_traffic_policy != "Cluster":
        found = Finding(("service", "externalTrafficPolicy"), "inside_only", it.external_traffic_policy)
        yield from service.unless("type", found=found)
    if it.type != "LoadBalancer" and it.source_ranges:
        yield from service.unless(
            "type", found=Finding(("service", "sourceRanges"), "no_balancer", None, {"type": it.type})
        )


def _names(raw: object) -> Iterable[str]:
    return raw if isinstance(raw, dict) else ()


@dataclass(frozen=True, kw_only=True)
class _Section(Generic[_M]):
    """A section of the configuration. At the places in ``wrong`` it has something else than was written there."""

    value: _M
    wrong: frozenset[Place]

    def knows(self, *place: str | int) -> bool:
        """Whether what is at ``place`` and around it is as it was written."""
        return not any(place[: len(it)] == it[: len(place)] for it in self.wrong)

    def unless(self, *names: str, found: Finding) -> Iterator[Finding]:
        """``found``, unless one of the settings that it is about is wrong itself."""
        if all(self.knows(name) for name in names):
            yield found


def _section(model: type[_M], raw: object) -> _Section[_M] | None:
    """The section, what is wrong in it left out; None where there is nothing to go by."""
    wrong: set[Place] = set()
    if not isinstance(raw, dict):
        return None
    try:
        raw = copy.deepcopy(raw)
    except RecursionError:
        return None
    # What is left out may have hidden another mistake: so several rounds.
    for _ in range(_ROUNDS):
        try:
            value = model.model_validate(raw, by_alias=True, by_name=False)
        except ValidationError as error:
            places = {it.place for it in findings(error)}
            if not places or () in places:
                return None
            for place in places:
                _leave_out(model, raw, place)
            wrong |= places
        else:
            return _Section(value=value, wrong=frozenset(wrong))
    return None


def _leave_out(model: type[BaseModel], raw: Any, place: Place) -> None:
    """Take what is at ``place`` out of ``raw``, or put the rule's example there if something has to be there."""
    *way, last = place
    for part in way:
        raw = raw[part]
    if isinstance(raw, dict) and last in raw:
        del raw[last]
    elif isinstance(raw, dict | list) and (rule := spot(model, place).rule):
        raw[last] = rule.example  # type: ignore[index] # a place fits its data


def _resources(php: _Section[Php]) -> Iterator[Finding]:
    resources = php.value.resources
    for name in ("cpu", "memory"):
        wanted, limit = getattr(resources.requests, name), getattr(resources.limits, name)
        is_known = all(php.knows("resources", which, name) for which in ("requests", "limits"))
        if is_known and wanted and limit and quantities.value(wanted) > quantities.value(limit):
            yield Finding(("php", "resources", "requests", name), "over_limit", wanted, {"limit": limit, "of": name})


def _writable_paths(php: _Section[Php]) -> Iterator[tuple[Place, str]]:
    """The writable directories that are right by themselves, the last first."""
    for index, path in reversed(list(enumerate(php.value.writable))):
        if php.knows("writable", index):
            yield ("php", "writable", index), path


def _writable(php: _Section[Php]) -> Iterator[Finding]:
    first: dict[str, Place] = {path: place for place, path in _writable_paths(php)}
    for place, path in _writable_paths(php):
        if first[path] != place:
            yield Finding(place, "twice", path, {"which": "directories", "before": first[path]})
        elif php.knows("docroot") and _in_site(path, php.value):
            yield Finding(place, "in_site", path, {"docroot": php.value.docroot})


def _in_site(path: str, php: Php) -> bool:
    """Whether a directory of the container is in what the site's mount hides."""
    return f"{path}/".startswith(f"{posixpath.dirname(php.docroot)}/")
