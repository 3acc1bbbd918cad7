"""``python -m cluster.survey``: the facts that the program needs of its cluster before it declares a resource.

The program asks once in every preview and every update, through ``local.run`` of pulumi-command. The request is JSON on
stdin, the answer one line of JSON on stdout. Whatever the cluster answers, the exit status is 0: what could not be
asked is a part of the answer. Nothing is changed: every request reads or is a dry run.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from types import FrameType
from typing import Any, Final

from cluster import identity, quota
from components import labels
from connectors.cluster import (
    Cluster,
    ClusterError,
    NotThereError,
    RefusedError,
    add_cluster_options,
    chosen_cluster,
)

#: A credential plugin of the kubeconfig has no bound of its own.
_SECONDS: Final = 45
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
#: What the API server says of a user without the right. Source: k8s.io/apiserver, endpoints/handlers/responsewriters.
_NO_RIGHT: Final = re.compile(r'User ".*" cannot \w+ resource "', re.DOTALL)
#: What the program makes in the namespace, by API group.
_KINDS: Final = (
    ("", "configmaps"),
    ("", "replicationcontrollers"),
    ("", "services"),
    ("networking.k8s.io", "networkpolicies"),
)
_ANOTHER: Final = "choose another namespace, or if this stack was renamed, rename it back"
#: The profiles that forbid hostPath. Source: kubernetes.io/docs/concepts/security/pod-security-standards
_PROFILES: Final = ("baseline", "restricted")
_ENFORCED: Final = "pod-security.kubernetes.io/enforce"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the program will declare.

    ``owner`` is ``project/stack``. ``template`` is a PodTemplateSpec; ``is_final`` says whether its digest is the one
    that the controller will carry. ``pods`` and ``service`` name the NetworkPolicy and the Service.
    """

    owner: str
    selector: Mapping[str, str]
    pods: str
    template: Mapping[str, Any]
    is_final: bool
    replicas: int
    secrets: bool
    service: str
    service_spec: Mapping[str, Any]
    preview: bool
    #: ``{minion: node}``, and the label of those that are mounted.
    nodes: Mapping[str, str]
    label: str


@dataclass(frozen=True, kw_only=True)
class SurveyResult:
    """The answer.

    - ``namespace`` is ``absent``, ``ours``, ``foreign`` (older than this stack) or ``unknown``.
    - ``unreachable`` is why the cluster does not answer or does not show whose the namespace is; '' if it does.
    - ``not_compared`` is why a preview cannot do dry runs.
    - ``forbidden`` is what the namespace does not admit.
    - ``no_nodes`` names the minions whose node is not in the cluster.
    - ``mounted`` are the nodes with the label of the mount.
    - ``cluster_ip`` and ``node_ports`` are the live Service's, if the cluster said whether it exists
      (``service_known``).
    """

    namespace: str = "unknown"
    unreachable: str = ""
    not_compared: str = ""
    forbidden: tuple[str, ...] = ()
    no_nodes: tuple[str, ...] = ()
    mounted: tuple[str, ...] = ()
    service_known: bool = False
    cluster_ip: str = ""
    node_ports: tuple[int, ...] = ()


def main(words: Sequence[str] | None = None) -> int:
    """Ask, and print the answer."""
    parser = argparse.ArgumentParser(prog="python -m cluster.survey", description=__doc__)
    add_cluster_options(parser)
    options = parser.parse_args(words)
    request = Request(**json.load(sys.stdin))
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(_SECONDS)
    try:
        found = survey(chosen_cluster(options), request)
    except ClusterError as error:
        found = SurveyResult(unreachable=str(error), not_compared=str(error))
    print(json.dumps(asdict(found)))
    return 0


def _too_long(_number: int, _frame: FrameType | None) -> None:
    raise ClusterError(
        f"the cluster did not answer within {_SECONDS} s; check that its API server is reachable from here, and that"
        " the kubeconfig's credential plugin does not wait for input"
    )


def survey(cluster: Cluster, request: Request) -> SurveyResult:
    """Ask the cluster. Raises ClusterError when it does not answer at all."""
    found = _survey(cluster, request)
    try:
        known = identity.nodes(cluster)
    except RefusedError:
        return found  # without the right to list nodes; `connectors.reach` needs it before it changes a minion
    reasons = (identity.missing(minion, node, known) for minion, node in request.nodes.items())
    return replace(
        found,
        no_nodes=tuple(reason for reason in reasons if reason),
        mounted=tuple(node.name for node in known if request.label in node.labels),
    )


def _survey(cluster: Cluster, request: Request) -> SurveyResult:
    namespace = _namespace(cluster)
    if namespace is None:
        why = f"namespace {cluster.namespace} does not exist yet"
        return SurveyResult(namespace="absent", not_compared=why, service_known=True)
    service, known = _object(cluster, "Service", cluster.core.read_namespaced_service, request.service)
    live = (service or {}).get("spec") or {}
    whose, refusal = _whose(cluster, request, namespace, service) if known else ("unknown", "")
    unread = f"these credentials may not read namespace {cluster.namespace} or the objects in it; grant them `get`"
    found = SurveyResult(
        namespace=whose,
        unreachable=unread if whose == "unknown" else "",
        service_known=known,
        cluster_ip=live.get("clusterIP", ""),
        node_ports=tuple(it["nodePort"] for it in live.get("ports") or [] if "nodePort" in it),
        forbidden=(refusal,) if refusal else tuple(_forbidden(cluster, request, namespace, service)),
    )
    return replace(found, not_compared=_refused(cluster, request) or found.unreachable) if request.preview else found


def _namespace(cluster: Cluster) -> Mapping[str, Any] | None:
    """The namespace; None when there is none, empty when it may not be read."""
    try:
        return cluster.ask(f"namespace {cluster.namespace}", cluster.core.read_namespace, cluster.namespace)
    except NotThereError:
        return None
    except RefusedError as error:
        if error.status != _FORBIDDEN:
            raise
        return {}


def _object(cluster: Cluster, kind: str, question: Callable[..., Any], name: str) -> tuple[dict[str, Any] | None, bool]:
    """An object of the namespace, None when there is none, and whether these credentials may read it."""
    try:
        return cluster.ask(f"{kind} {name}", question, name, cluster.namespace), True
    except NotThereError:
        return None, True
    except RefusedError:
        return None, False


def _whose(
    cluster: Cluster, request: Request, namespace: Mapping[str, Any], service: Mapping[str, Any] | None
) -> tuple[str, str]:
    """Whether this stack made the namespace (docs/adr/0021-survey.md), and why it may not be used, '' if it may.

    The namespace's own mark decides. Without it the marks on this stack's objects in it do. Versions before 0.2 left
    no mark and always made the namespace. In doubt it is unknown, and declared: taken for foreign, a namespace that the
    state has would be deleted.
    """
    if not namespace:
        return "unknown", ""
    owner = _annotations(namespace).get(labels.OWNER_ANNOTATION)
    if owner == request.owner:
        return "ours", ""
    if owner is not None:
        return "unknown", f"it carries the annotation {labels.OWNER_ANNOTATION}={owner}; {_ANOTHER}"
    policy, known = _object(cluster, "NetworkPolicy", _networking(cluster), request.pods)
    selectors = {
        f"Service {request.service}": (service, _at(service, "spec", "selector")),
        f"NetworkPolicy {request.pods}": (policy, _at(policy, "spec", "podSelector", "matchLabels")),
    }
    there = [(what, it, selector) for what, (it, selector) in selectors.items() if it is not None]
    for what, _, selector in there:
        if selector != dict(request.selector):
            return "unknown", f"it holds a {what} that is not this stack's; {_ANOTHER}"
    if not there:
        return ("foreign" if known else "unknown"), ""
    is_foreign = any(labels.FOREIGN_ANNOTATION in _annotations(it) for _, it, _ in there)
    return ("foreign" if is_foreign else "ours"), ""


def _at(tree: Mapping[str, Any] | None, *path: str) -> Any:
    """What is at ``path``; None where anything on the way is missing."""
    found: Any = tree
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _networking(cluster: Cluster) -> Callable[..., Any]:
    from kubernetes.client import NetworkingV1Api  # noqa: PLC0415 (loaded with the cluster's client)

    read: Callable[..., Any] = NetworkingV1Api(cluster.core.api_client).read_namespaced_network_policy
    return read


def _annotations(it: Mapping[str, Any]) -> Mapping[str, str]:
    found: Mapping[str, str] = _at(it, "metadata", "annotations") or {}
    return found


# --- what the namespace forbids ---------------------------------------------------------------------------------


def _forbidden(
    cluster: Cluster, request: Request, namespace: Mapping[str, Any], service: Mapping[str, Any] | None
) -> Iterator[str]:
    """A line for each reason why the namespace would not admit the Service or the pods."""
    if _at(namespace, "status", "phase") == "Terminating":
        yield "it is being deleted; wait until it is gone, or see which finalizers keep it"
        return
    if request.service_spec.get("type") != _at(service, "spec", "type"):
        yield from _service_refused(cluster, request, service)
    controllers = _listed(cluster, "controllers", cluster.core.list_namespaced_replication_controller, request.selector)
    if controllers is None or (controllers and not request.is_final):
        return  # nobody knows whether pods would be made
    missing = request.replicas - _running(controllers, request)
    if missing <= 0:
        return
    admitted, refusal = _pod(cluster, request, namespace)
    if refusal:
        yield refusal
    quotas = _listed(cluster, "quotas", cluster.core.list_namespaced_resource_quota) or []
    need = quota.needed_by_pods(admitted, missing)
    if not controllers:
        counts = {resource: 1 for group, resource in _KINDS if not group}
        need |= quota.needed_by_objects({**counts, **({"secrets": 1} if request.secrets else {})})
    short = list(quota.shortages(quotas, need))
    # The API server has named this quota already, for one pod.
    yield from (it for it in short if not (refusal and it.split()[1] in refusal))


def _running(controllers: Sequence[Mapping[str, Any]], request: Request) -> int:
    """How many of the pods there are already, of this very template."""
    digest = request.template["metadata"]["labels"][labels.TEMPLATE_LABEL]
    return sum(
        it["spec"].get("replicas", 0)
        for it in controllers
        if _at(it, "spec", "selector", labels.TEMPLATE_LABEL) == digest
    )


def _listed(
    cluster: Cluster, what: str, question: Callable[..., Any], selector: Mapping[str, str] | None = None
) -> list[dict[str, Any]] | None:
    """The namespace's objects of a kind; None when they may not be read."""
    options = {} if selector is None else {"label_selector": ",".join(f"{key}={it}" for key, it in selector.items())}
    try:
        return list(cluster.ask(f"the {what}", question, cluster.namespace, **options)["items"])
    except RefusedError:
        return None


def _pod(cluster: Cluster, request: Request, namespace: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The spec of a pod as the API server would admit it, and why it would not, '' if it would.

    A pod that may not be created directly is judged by the namespace's labels only.
    """
    spec: Mapping[str, Any] = request.template["spec"]
    body = {"metadata": {**request.template["metadata"], "generateName": f"{request.pods}-"}, "spec": spec}
    pod = {"apiVersion": "v1", "kind": "Pod", **body}
    try:
        made = cluster.ask("a pod", cluster.core.create_namespaced_pod, cluster.namespace, body=pod, dry_run="All")
        return made["spec"], ""
    except RefusedError as error:
        if _lacks_rights(error) or "serviceaccount" in error.said:
            profile = _at(namespace, "metadata", "labels", _ENFORCED)
            return spec, f"its label {_ENFORCED} is {profile}, which forbids hostPath" if profile in _PROFILES else ""
        return spec, error.said
    except NotThereError:
        return spec, ""


def _service_refused(cluster: Cluster, request: Request, live: Mapping[str, Any] | None) -> Iterator[str]:
    """Why the API server would not admit the Service: a quota or a policy. A form error is the provider's to report."""
    metadata = {"name": request.service, "namespace": cluster.namespace}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": dict(request.service_spec)}
    core = cluster.core
    try:
        if live is None:
            cluster.ask("a Service", core.create_namespaced_service, cluster.namespace, body=body, dry_run="All")
        else:
            cluster.ask(
                "a Service",
                core.patch_namespaced_service,
                *(request.service, cluster.namespace),
                body={"spec": {"type": request.service_spec.get("type")}},
                dry_run="All",
            )
    except RefusedError as error:
        if error.status == _FORBIDDEN and not _lacks_rights(error):
            yield error.said
    except NotThereError:
        return


def _lacks_rights(error: RefusedError) -> bool:
    """Whether the credentials are too weak. A quota or a policy refuses with the same status."""
    return error.status == _UNAUTHORIZED or _NO_RIGHT.search(error.said) is not None


# --- whether a preview can do dry runs --------------------------------------------------------------------------


def _refused(cluster: Cluster, request: Request) -> str:
    """Why dry runs are refused, '' if they are not: a dry run needs the rights of the change itself."""
    kinds = (*_KINDS, ("", "secrets")) if request.secrets else _KINDS
    rights = [(verb, group, resource) for verb in ("create", "patch") for group, resource in kinds]
    with ThreadPoolExecutor(max_workers=len(rights)) as threads:
        allowed = list(threads.map(lambda it: _may(cluster, *it), rights))
    lacking: dict[str, list[str]] = {}
    for (verb, _, resource), may in zip(rights, allowed, strict=True):
        if not may:
            lacking.setdefault(verb, []).append(resource)
    if not lacking:
        return ""
    what = "; ".join(f"{verb} {', '.join(resources)}" for verb, resources in lacking.items())
    return f"these credentials may not do dry runs in namespace {cluster.namespace}; they lack the rights to: {what}"


def _may(cluster: Cluster, verb: str, group: str, resource: str) -> bool:
    from kubernetes.client import AuthorizationV1Api  # noqa: PLC0415 (loaded with the cluster's client)

    attributes = {"namespace": cluster.namespace, "verb": verb, "group": group, "resource": resource}
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    try:
        answer = cluster.ask(
            "what these credentials may do",
            AuthorizationV1Api(cluster.core.api_client).create_self_subject_access_review,
            body={**body, "spec": {"resourceAttributes": attributes}},
        )
    except (RefusedError, NotThereError):
        return False
    return bool(_at(answer, "status", "allowed"))


if __name__ == "__main__":
    sys.exit(main())
