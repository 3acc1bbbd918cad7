"""Mistakes that only several settings of pods and Service together show.

Each section that is right by itself is looked at, whatever is wrong with the others.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from rules.rule import Finding, Place
from rules.serving import Php, Service, Shared, quantity

_PROD_REPLICAS: Final = 2
_UNPRIVILEGED_PORT: Final = 1024
_M = TypeVar("_M", bound=BaseModel)


def in_config(raw: Mapping[str, object], *, secret_env: object) -> Iterator[Finding]:
    """What does not go together in a stack's configuration; of ``secret_env`` only the names are looked at."""
    if service := _section(Service, raw.get("service")):
        yield from _service(service)
    if php := _section(Php, raw.get("php")):
        yield from _resources(php)
        yield from _writable(php)
        if php.user is not None and php.port < _UNPRIVILEGED_PORT:
            yield Finding(("php", "port"), "low_port", php.port)
        for name in sorted(set(php.env) & set(_names(secret_env))):
            before = ("secretEnv", name)
            yield Finding(("php", "env", name), "twice", "", {"which": "environment variables", "before": before})


def in_farm(raw: Mapping[str, object], *, minions: int) -> Iterator[Finding]:
    """What does not go together with an inventory of so many minions."""
    php = _section(Php, raw.get("php"))
    if php and php.host_port is not None and minions < 2 * php.replicas:
        context = {"replicas": php.replicas, "needed": 2 * php.replicas, "there": minions}
        yield Finding(("php", "hostPort"), "few_minions", php.host_port, context)


def in_shared(raw: Mapping[str, object], *, site: object) -> Iterator[Finding]:
    """What does not go together with the directories that pods write to; ``site`` is the site's own on the volume."""
    entries = raw.get("shared")
    shared = [_section(Shared, it) for it in entries] if isinstance(entries, list) else []
    php = _section(Php, raw.get("php"))
    names: dict[str, Place] = {}
    paths: dict[str, Place] = {it: ("php", "writable", index) for index, it in enumerate(php.writable if php else ())}
    for index, it in enumerate(shared):
        if it is None:
            continue
        place: Place = ("shared", index)
        for part, value, seen, which in (("name", it.name, names, "names"), ("path", it.path, paths, "directories")):
            if (before := seen.setdefault(value, (*place, part))) != (*place, part):
                yield Finding((*place, part), "twice", value, {"which": which, "before": before})
        if it.name == site:
            yield Finding((*place, "name"), "site_name", it.name)
        if php and _in_site(it.path, php):
            yield Finding((*place, "path"), "in_site", it.path, {"docroot": php.docroot})


def in_production(raw: Mapping[str, object]) -> Iterator[Finding]:
    """What is refused where visitors depend on it, and would be right elsewhere."""
    php = _section(Php, raw.get("php"))
    if raw.get("environment") != "prod" or php is None:
        return
    if "@sha256:" not in php.image:
        yield Finding(("php", "image"), "prod_image", php.image)
    if php.replicas < _PROD_REPLICAS:
        yield Finding(("php", "replicas"), "prod_replicas", php.replicas)


def _service(service: Service) -> Iterator[Finding]:
    if service.type == "ClusterIP" and service.external_traffic_policy != "Cluster":
        yield Finding(("service", "externalTrafficPolicy"), "inside_only", service.external_traffic_policy)
    if service.type != "LoadBalancer" and service.source_ranges:
        yield Finding(("service", "sourceRanges"), "no_balancer", None, {"type": service.type})


def _names(raw: object) -> Iterable[str]:
    return raw if isinstance(raw, dict) else ()


def _section(model: type[_M], raw: object) -> _M | None:
    try:
        return model.model_validate(raw, by_alias=True, by_name=False)
    except ValidationError:
        return None


def _resources(php: Php) -> Iterator[Finding]:
    least, most = php.resources.requests, php.resources.limits
    for name in ("cpu", "memory"):
        wanted, limit = getattr(least, name), getattr(most, name)
        if wanted and limit and quantity(wanted) > quantity(limit):
            yield Finding(("php", "resources", "requests", name), "over_limit", wanted, {"limit": limit, "of": name})


def _writable(php: Php) -> Iterator[Finding]:
    for index, path in enumerate(php.writable):
        first = php.writable.index(path)
        if first != index:
            before = ("php", "writable", first)
            yield Finding(("php", "writable", index), "twice", path, {"which": "directories", "before": before})
        elif _in_site(path, php):
            yield Finding(("php", "writable", index), "in_site", path, {"docroot": php.docroot})


def _in_site(path: str, php: Php) -> bool:
    """Whether a directory of the container is in what the site's mount hides."""
    return f"{path}/".startswith(f"{posixpath.dirname(php.docroot)}/")
