"""The pod that serves the site: plain data, so that a preview knows every field of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from components import confinement, labels, php_ini, pod_site, static_cache
from components.pod_site import Directory, PodSite
from rules.serving import Php

INI_MOUNT = "/etc/glusterfarm/php"
POD_MOUNT = "/etc/glusterfarm/pod"  # the reserved file `glusterfarm-pod` of every slot links to `name` in here
RELEASE_PATH = "/glusterfarm-release"
#: Seconds a terminating pod goes on serving, so that every proxy forgets it before it stops.
DRAIN_SECONDS = 5
GRACE_SECONDS = 30
#: Seconds after the cluster took a node for lost until pods start elsewhere (Kubernetes' own default is 300).
LOST_SECONDS = 30
_NEVER = 24 * 60 * 60  #: failures of a probe each second, after which something would be done about it


def settings(php: Php, scripts: int) -> Mapping[str, str]:
    """The files that the pods get besides the image's own, by name, for a site of ``scripts`` PHP files."""
    return {"glusterfarm.ini": php_ini.text(php, scripts), **(static_cache.files() if php.static_cache else {})}


def settings_name(name: str, files: Mapping[str, str]) -> str:
    """Their ConfigMap, named after what it holds: other settings are another template, and so roll the pods."""
    return f"{name}-ini-{_digest(json.dumps(dict(files), sort_keys=True))}"


def template(
    name: str,
    site: PodSite,
    php: Php,
    shared: Sequence[Directory],
    *,
    secrets: Mapping[str, Sequence[str]] | None = None,
) -> Any:
    """The pod template (a PodTemplateSpec) for ``php`` serving ``site``, with its own selector labels.

    ``secrets`` are the environment variables that a Secret holds, by its name.
    """
    pods = labels.pods_selector(site.stack)
    annotations = {labels.VOLUME_ANNOTATION: f"{site.volume}:{site.mount_path}"}
    parts = pod_site.site_parts(site.path, php)
    scratch, scratch_mounts = confinement.writable(php)
    kept, kept_mounts = pod_site.shared(shared)
    cache_mounts = static_cache.mounts("ini") if php.static_cache else []
    spec: dict[str, Any] = {
        "nodeSelector": dict(site.placement),
        **confinement.of_pod(),
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "tolerations": [
            {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute"}
            | {"tolerationSeconds": LOST_SECONDS}
            for state in ("not-ready", "unreachable")
        ],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": dict(pods)},
                # Each template's pods by themselves: those of before are about to go, and would draw these together.
                "matchLabelKeys": [labels.TEMPLATE_LABEL],
            }
        ],
        "containers": [_container(php, [*parts.mounts, *kept_mounts, *scratch_mounts, *cache_mounts], secrets or {})],
        "volumes": [
            *parts.volumes,
            *kept,
            {"name": "ini", "configMap": {"name": settings_name(name, settings(php, site.scripts))}},
            {
                "name": "pod",
                "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]},
            },
            *scratch,
            *(static_cache.volumes() if php.static_cache else []),
        ],
    }
    if parts.init_containers:
        spec["initContainers"] = [*parts.init_containers]
    digest = _digest(json.dumps([annotations, spec], sort_keys=True))
    return {
        "metadata": {"labels": {**pods, labels.TEMPLATE_LABEL: digest}, "annotations": annotations},
        "spec": spec,
    }


def _container(
    php: Php, mounts: Sequence[Mapping[str, Any]], secrets: Mapping[str, Sequence[str]]
) -> Mapping[str, Any]:
    # The leading colon adds our directory to the image's own; the site's environment cannot set it (settings refuse).
    environment = {**php.env, "PHP_INI_SCAN_DIR": f":{INI_MOUNT}"}
    return {
        "name": "php",
        "image": php.image,
        # Doubled: Kubernetes replaces $(NAME) in a value, and the site's own must arrive as it was written.
        "env": [
            *({"name": key, "value": environment[key].replace("$", "$$")} for key in sorted(environment)),
            *(
                {"name": key, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
                for secret, names in secrets.items()
                for key in sorted(names)
            ),
        ],
        "ports": [
            {"name": "http", "containerPort": php.port}
            | ({} if php.host_port is None else {"hostPort": php.host_port, "protocol": "TCP"})
        ],
        "volumeMounts": [
            *mounts,
            {"name": "ini", "mountPath": INI_MOUNT, "readOnly": True},
            {"name": "pod", "mountPath": POD_MOUNT, "readOnly": True},
        ],
        **confinement.of_container(php),
        # Until the page was answered once a new pod gets no visitors: its image may serve files and be unable to run
        # the site. Nobody is restarted for it: a restart brings no database back, and would delay what does.
        "startupProbe": {
            "httpGet": {"path": php.probe_path, "port": php.port},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": _NEVER,
        },
        # Liveness never touches the volume: a volume that is away leaves its pods running, only unready.
        "livenessProbe": {"tcpSocket": {"port": php.port}, "periodSeconds": 10, "failureThreshold": 3},
        # A dead mount answers at once, and wrongly: from the next second on that pod gets no visitors. A slow answer is
        # waited for, so that pods under load do not leave theirs to the others.
        "readinessProbe": {
            "httpGet": {"path": RELEASE_PATH, "port": php.port},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 1,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]
