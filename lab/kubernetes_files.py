"""The files that make a machine a control plane or a minion of Kubernetes."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import yaml

from lab import pki
from lab.disk import FILES, File, Setup, template
from lab.topology import Machine, Topology

PAUSE_IMAGE = "glusterfarm.local/pause:1"
PROGRAMS = "/opt/kubernetes"
IMAGES = ("/opt/images/pause.tar", "/opt/images/php.tar")
_PKI = "/etc/kubernetes/pki"
_NAME = "glusterfarm-lab"


def make_pki(topology: Topology, directory: Path) -> None:
    """Make the CA, the control plane's certificates and the service accounts' key pair, with fresh keys."""
    control = topology.by_role("control")[0]
    authority = pki.new_authority(f"{_NAME} CA")
    authority.save(directory, "ca")
    names = [
        "kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", control.name,
        str(control.address), str(topology.services[1]), "127.0.0.1",
    ]  # fmt: skip
    pki.issue(authority, common_name="kube-apiserver", names=names).save(directory, "apiserver")
    for name, user, groups in (
        ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",)),
        ("admin", "admin", ("system:masters",)),
        ("controller-manager", "system:kube-controller-manager", ()),
        ("scheduler", "system:kube-scheduler", ()),
        ("kube-proxy", "system:kube-proxy", ()),
    ):
        pki.issue(authority, common_name=user, groups=groups).save(directory, name)
    private, public = pki.new_key()
    pki.Pair(certificate=public, key=private).save(directory, "service-account")


def control(machine: Machine, topology: Topology, keys: Path) -> Setup:
    """Files of the control plane: etcd, API server, controller manager, scheduler."""
    authority = pki.Pair.load(keys, "ca").certificate
    files = [File(path=f"{_PKI}/ca.crt", text=authority)]
    for name in ("apiserver", "apiserver-kubelet-client"):
        files += _pair(name, pki.Pair.load(keys, name))
    accounts = pki.Pair.load(keys, "service-account")
    files.append(File(path=f"{_PKI}/service-account.pub", text=accounts.certificate))
    files.append(File(path=f"{_PKI}/service-account.key", text=accounts.key, mode=0o600))
    for name in ("controller-manager", "scheduler"):
        files.append(_kubeconfig_file(name, topology, authority, pki.Pair.load(keys, name)))
    for unit in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        text = template(f"units/{unit}.service", address=machine.address, services=topology.services)
        files.append(File(path=f"/etc/systemd/system/{unit}.service", text=text))
    return Setup(files=tuple(files), directories=("/var/lib/etcd",))


def minion(machine: Machine, topology: Topology, keys: Path) -> Setup:
    """Files of a minion: containerd, the pods' network, kubelet, kube-proxy. Its certificate is made here."""
    authority = pki.Pair.load(keys, "ca")
    own = pki.issue(
        authority,
        common_name=f"system:node:{machine.name}",
        groups=("system:nodes",),
        names=(machine.name, str(machine.address)),
    )
    files = [
        File(path=f"{_PKI}/ca.crt", text=authority.certificate),
        *_pair("kubelet", own),
        _kubeconfig_file("kubelet", topology, authority.certificate, own),
        _kubeconfig_file("kube-proxy", topology, authority.certificate, pki.Pair.load(keys, "kube-proxy")),
        _yaml("/etc/kubernetes/kubelet.yaml", _kubelet()),
        _yaml("/etc/kubernetes/kube-proxy.yaml", _kube_proxy(machine, topology)),
        File(path="/etc/containerd/config.toml", text=template("containerd.toml", pause=PAUSE_IMAGE)),
        File(path="/etc/cni/net.d/10-lab.conflist", text=json.dumps(_pod_network(machine, topology), indent=2)),
        File(path="/usr/local/lib/lab/prepare_kubelet.sh", text=(FILES / "prepare_kubelet.sh").read_text()),
    ]
    for unit in ("kubelet", "kube-proxy"):
        text = template(f"units/{unit}.service", name=machine.name, address=machine.address)
        files.append(File(path=f"/etc/systemd/system/{unit}.service", text=text))
    return Setup(files=tuple(files))


def kubeconfig(topology: Topology, authority: str, pair: pki.Pair) -> dict[str, object]:
    """A kubeconfig with everything inside, as YAML data; its one context is called glusterfarm-lab."""
    cluster = {"server": topology.apiserver, "certificate-authority-data": _base64(authority)}
    user = {"client-certificate-data": _base64(pair.certificate), "client-key-data": _base64(pair.key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
        "current-context": _NAME,
    }


def _kubelet() -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{_PKI}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        # An image that was collected could not be pulled again, and the disk is the host's.
        "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "failCgroupV1": False,
        "failSwapOn": False,
        # The kernel's parameters and OOM scores are the host's. If they cannot be set, the kubelet must not stop.
        "featureGates": {"KubeletInUserNamespace": True},
        "localStorageCapacityIsolation": False,
        "resolvConf": "/etc/resolv.conf",
        "tlsCertFile": f"{_PKI}/kubelet.crt",
        "tlsPrivateKeyFile": f"{_PKI}/kubelet.key",
    }


def _kube_proxy(machine: Machine, topology: Topology) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": "/etc/kubernetes/kube-proxy.kubeconfig"},
        "clusterCIDR": str(topology.pods),
        # The connection-tracking table's size is the host's.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "hostnameOverride": machine.name,
        "mode": "iptables",
    }


def _pod_network(machine: Machine, topology: Topology) -> dict[str, object]:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": str(topology.pod_network(machine))}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "lab", "plugins": [bridge, portmap]}


def _pair(name: str, pair: pki.Pair) -> list[File]:
    return [
        File(path=f"{_PKI}/{name}.crt", text=pair.certificate),
        File(path=f"{_PKI}/{name}.key", text=pair.key, mode=0o600),
    ]


def _kubeconfig_file(name: str, topology: Topology, authority: str, pair: pki.Pair) -> File:
    return _yaml(f"/etc/kubernetes/{name}.kubeconfig", kubeconfig(topology, authority, pair), mode=0o600)


def _yaml(path: str, value: dict[str, object], mode: int = 0o644) -> File:
    return File(path=path, text=yaml.safe_dump(value, sort_keys=False, width=1000), mode=mode)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
