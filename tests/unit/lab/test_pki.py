from __future__ import annotations

import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from lab import kubernetes_files, pki, topology
from lab.ssh_keys import SshKey

TOPOLOGY = topology.load()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pki")
    kubernetes_files.make_pki(TOPOLOGY, made)
    return made


def openssl(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)


def names(certificate: Path) -> tuple[str, list[str]]:
    """Common name and organisations."""
    subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    user = str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    return user, [str(item.value) for item in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]


@pytest.mark.parametrize(
    "name", ["apiserver", "apiserver-kubelet-client", "admin", "controller-manager", "scheduler", "kube-proxy"]
)
@pytest.mark.parametrize("purpose", ["sslclient", "sslserver"])
def test_every_certificate_verifies_against_the_authority(directory: Path, name: str, purpose: str) -> None:
    answer = openssl(
        "verify", "-x509_strict", "-purpose", purpose, "-CAfile", directory / "ca.crt", directory / f"{name}.crt"
    )
    assert answer.returncode == 0, answer.stderr


def test_a_certificate_of_another_authority_does_not(directory: Path, tmp_path: Path) -> None:
    stranger = pki.issue(pki.new_authority("glusterfarm-lab CA"), common_name="admin", groups=["system:masters"])
    stranger.save(tmp_path, "stranger")
    answer = openssl("verify", "-CAfile", directory / "ca.crt", tmp_path / "stranger.crt")
    assert answer.returncode != 0


def test_an_end_certificate_cannot_sign(directory: Path, tmp_path: Path) -> None:
    forged = pki.issue(pki.Pair.load(directory, "kube-proxy"), common_name="admin", groups=["system:masters"])
    forged.save(tmp_path, "forged")
    chain = tmp_path / "chain.pem"
    chain.write_text((directory / "kube-proxy.crt").read_text())
    answer = openssl("verify", "-CAfile", directory / "ca.crt", "-untrusted", chain, tmp_path / "forged.crt")
    assert answer.returncode != 0


def test_who_kubernetes_takes_them_for(directory: Path) -> None:
    assert names(directory / "admin.crt") == ("admin", ["system:masters"])
    assert names(directory / "controller-manager.crt") == ("system:kube-controller-manager", [])
    assert names(directory / "scheduler.crt") == ("system:kube-scheduler", [])
    assert names(directory / "kube-proxy.crt") == ("system:kube-proxy", [])


@pytest.mark.parametrize("host", ["10.111.0.20", "10.113.0.1", "127.0.0.1"])
def test_the_api_server_is_known_by_its_addresses(directory: Path, host: str) -> None:
    answer = openssl("verify", "-CAfile", directory / "ca.crt", "-verify_ip", host, directory / "apiserver.crt")
    assert answer.returncode == 0, answer.stderr


def test_the_api_server_is_not_known_by_others(directory: Path) -> None:
    wrong = openssl("verify", "-CAfile", directory / "ca.crt", "-verify_ip", "10.111.0.99", directory / "apiserver.crt")
    assert wrong.returncode != 0


def test_a_minion_is_its_node(directory: Path, tmp_path: Path) -> None:
    minion = TOPOLOGY.by_role("minion")[1]
    files = {file.path: file for file in kubernetes_files.minion(minion, TOPOLOGY, directory).files}
    certificate = tmp_path / "kubelet.crt"
    certificate.write_text(files["/etc/kubernetes/pki/kubelet.crt"].text)
    assert names(certificate) == ("system:node:minion-2", ["system:nodes"])
    answer = openssl("verify", "-CAfile", directory / "ca.crt", "-verify_ip", "10.111.0.32", certificate)
    assert answer.returncode == 0, answer.stderr
    assert files["/etc/kubernetes/pki/kubelet.key"].mode == 0o600


def test_keys_fit_their_certificates_and_are_private(directory: Path) -> None:
    for certificate in directory.glob("*.crt"):
        key = certificate.with_suffix(".key")
        assert key.stat().st_mode & 0o777 == 0o600
        if certificate.name != "service-account.crt":
            ssl.create_default_context().load_cert_chain(certificate, key)


def test_service_account_keys_are_a_pair(directory: Path) -> None:
    public = openssl("pkey", "-in", directory / "service-account.key", "-pubout")
    assert public.stdout == (directory / "service-account.crt").read_text()


def test_ssh_keys_are_what_ssh_keygen_reads(tmp_path: Path) -> None:
    key = SshKey.new()
    key.save(tmp_path / "id")
    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", str(tmp_path / "id")], capture_output=True, text=True, check=True
    )
    assert public.stdout.strip() == key.public
    assert (tmp_path / "id").stat().st_mode & 0o777 == 0o600
    assert SshKey.load(tmp_path / "id") == key
    assert SshKey.new().public != key.public
