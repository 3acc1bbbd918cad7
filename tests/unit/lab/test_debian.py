from __future__ import annotations

from pathlib import Path

import pytest

from lab.toolchain import debian, images, root

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def host(tmp_path: Path, **files: str) -> list[str]:
    """What a root is made from on a host with these files below /etc/apt (a "/" is written "__")."""
    for name, text in files.items():
        path = tmp_path / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return debian.host_sources(tmp_path)


def test_a_debian_12_host_gives_its_own_mirror(tmp_path: Path) -> None:
    text = """
# a comment
deb http://mirror.example.org/debian bookworm main contrib non-free-firmware
deb-src http://mirror.example.org/debian bookworm main
deb [arch=amd64] http://mirror.example.org/debian bookworm-updates main
deb http://mirror.example.org/debian-security bookworm-security main
#deb http://mirror.example.org/debian bookworm-backports main
"""
    assert host(tmp_path, sources_list=text) == [
        "deb http://mirror.example.org/debian bookworm main",
        "deb http://mirror.example.org/debian bookworm-updates main",
        "deb http://mirror.example.org/debian-security bookworm-security main",
    ]


def test_deb822_sources_are_read_with_their_key(tmp_path: Path) -> None:
    text = f"""Types: deb
# http://snapshot.example.org/archive/debian/20250520T000000Z
URIs: http://deb.example.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: {KEYRING}

Types: deb deb-src
URIs: http://deb.example.org/debian-security
Suites:
 bookworm-security
Components: main
Signed-By: {KEYRING}
"""
    assert host(tmp_path, sources_list_d__debian_sources=text) == [
        f"deb [signed-by={KEYRING}] http://deb.example.org/debian bookworm main",
        f"deb [signed-by={KEYRING}] http://deb.example.org/debian bookworm-updates main",
        f"deb [signed-by={KEYRING}] http://deb.example.org/debian-security bookworm-security main",
    ]


def test_other_peoples_archives_are_left_out(tmp_path: Path) -> None:
    lines = host(
        tmp_path,
        sources_list=f"deb [signed-by={KEYRING}] https://proxy.example.org/apt/all bookworm main\n",
        sources_list_d__cloud_list="deb https://packages.example.org/apt cloud-sdk-bookworm main\n",
        sources_list_d__node_sources=(
            "Types: deb\nURIs: https://deb.example.org/node_20.x\nSuites: nodistro\nComponents: main\n"
            "Signed-By: /usr/share/keyrings/nodesource.gpg\n"
        ),
        sources_list_d__old_sources=(
            "Enabled: no\nTypes: deb\nURIs: http://old.example.org/debian\nSuites: bookworm\n"
        ),
        sources_list_d__notes="deb http://ignored.example.org/debian bookworm main\n",
    )
    assert lines == [f"deb [signed-by={KEYRING}] https://proxy.example.org/apt/all bookworm main"]


def test_a_host_of_another_release_keeps_its_mirror_but_not_its_suites(tmp_path: Path) -> None:
    text = """
deb http://mirror.example.org/debian trixie main
deb http://mirror.example.org/debian trixie-updates main
deb http://mirror.example.org/debian trixie-backports main
deb http://mirror.example.org/debian-security trixie-security main
"""
    assert host(tmp_path, sources_list=text) == [
        "deb http://mirror.example.org/debian bookworm main",
        "deb http://mirror.example.org/debian bookworm-updates main",
        "deb http://mirror.example.org/debian-security bookworm-security main",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "deb http://archive.example.org/ubuntu jammy main\n",
        "deb cdrom:[Debian GNU/Linux 12]/debian bookworm main\n",
        "deb file:/srv/mirror/debian bookworm main\n",
        # Updates alone make no system.
        "deb http://mirror.example.org/debian-security bookworm-security main\n",
        "deb http://mirror.example.org/debian sid main\n",
    ],
)
def test_a_host_without_the_archive_leaves_it_to_mmdebstrap(tmp_path: Path, text: str) -> None:
    assert host(tmp_path, sources_list=text) == []


def test_a_host_without_any_sources(tmp_path: Path) -> None:
    assert debian.host_sources(tmp_path / "no" / "apt") == []


def test_the_way_through_a_proxy_is_the_machines_way_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = tmp_path / "apt-config"
    stub.write_text("""#!/bin/sh
cat <<'END'
Acquire "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example.org:3128";
Acquire::https::Proxy "";
Acquire::http::Proxy-Auto-Detect "/usr/local/bin/detect";
Acquire::Check-Valid-Until "false";
Acquire::cdrom::mount "/media/cdrom/";
END
""")
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert debian.host_acquire_options() == [
        'Acquire::http::Proxy "http://proxy.example.org:3128";',
        'Acquire::Check-Valid-Until "false";',
    ]


def test_a_package_list_is_one_package_a_line(tmp_path: Path) -> None:
    file = tmp_path / "packages.txt"
    file.write_text("# why\nsystemd\n\n  runc  # containers\n")
    assert debian.package_list(file) == ["systemd", "runc"]


def test_minions_come_without_gluster() -> None:
    packages = debian.package_list(root.RECIPE / "packages.txt")
    assert {"systemd", "openssh-server", "containerd", "etcd-server"} <= set(packages)
    assert not [package for package in packages if "gluster" in package]
    assert "apache2" in debian.package_list(images.RECIPE / "packages.txt")
