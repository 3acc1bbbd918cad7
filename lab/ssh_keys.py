"""SSH keys the lab makes before any machine boots, so that every host key is known and pinned from the
start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519


@dataclass(frozen=True, kw_only=True)
class SshKey:
    """private: OpenSSH private key text; public: "ssh-ed25519 AAAA..."."""

    private: str
    public: str

    @classmethod
    def new(cls) -> SshKey:
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        return cls(private=private.decode(), public=public.decode())

    def save(self, path: Path) -> None:
        """Write the private key (mode 600) and, beside it, PATH.pub."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(self.private)
        path.with_name(path.name + ".pub").write_text(self.public + "\n")

    @classmethod
    def load(cls, path: Path) -> SshKey:
        return cls(private=path.read_text(), public=path.with_name(path.name + ".pub").read_text().strip())
