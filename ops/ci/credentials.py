"""What a job is lent: the cluster's kubeconfig and the key for the minions, for as long as one command takes.

Both come in the job's environment, from secrets, and get into no state: the kubeconfig becomes the file that the stack
names, the key goes into an ssh-agent and onto no disk.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from ops.errors import OpsError

#: The names end such that ops.preview.scrub takes what is in them for secret.
KUBECONFIG: Final = "KUBECONFIG_SECRET"
KEY: Final = "MINIONS_SSH_KEY"
_SECONDS: Final = 20


@contextmanager
def lent(kubeconfig: str | None) -> Iterator[None]:
    """Have ``kubeconfig`` (None: nowhere) written and the key in an agent, where the environment brings them.

    Raises OpsError.

    Neither variable is in the environment meanwhile: what the job runs finds them where it always does.
    """
    given = {name: os.environ.pop(name, "") for name in (KUBECONFIG, KEY)}
    try:
        with ExitStack() as stack:
            if kubeconfig is not None and given[KUBECONFIG].strip():
                stack.enter_context(_written(kubeconfig, given[KUBECONFIG]))
            if given[KEY].strip():
                stack.enter_context(_agent(given[KEY]))
            yield
    finally:
        os.environ.update({name: value for name, value in given.items() if value})


@contextmanager
def _written(name: str, text: str) -> Iterator[None]:
    path = Path(name)
    inside = path.parent.resolve().is_relative_to(Path.cwd().resolve())
    if not name or not inside:
        raise OpsError(
            f"the kubeconfig {name!a} would be outside of this directory; name one inside, as .kube/prod.yaml"
        )
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise OpsError(
            f"{name!a} is there already, and is not written over: remove it, or leave {KUBECONFIG} out"
        ) from None
    except OSError as error:
        raise OpsError(f"{name!a} cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text if text.endswith("\n") else f"{text}\n")
        yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _agent(key: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as directory:
        socket = f"{directory}/agent"
        former = os.environ.get("SSH_AUTH_SOCK")
        try:
            agent = subprocess.Popen(
                ["ssh-agent", "-D", "-a", socket], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )
        except OSError as error:
            raise OpsError(f"ssh-agent cannot be run: {error.strerror}; install the OpenSSH client") from None
        try:
            _wait_for(socket, agent)
            os.environ["SSH_AUTH_SOCK"] = socket
            _add(key)
            yield
        finally:
            agent.terminate()
            agent.wait()
            if former is None:
                os.environ.pop("SSH_AUTH_SOCK", None)
            else:
                os.environ["SSH_AUTH_SOCK"] = former


def _wait_for(socket: str, agent: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _SECONDS
    while not Path(socket).is_socket():
        if agent.poll() is not None or time.monotonic() > end:
            raise OpsError("ssh-agent did not start")
        time.sleep(0.01)


def _add(key: str) -> None:
    # A secret that was pasted may have lost its last line end, and gained others' line ends.
    text = key.replace("\r\n", "\n").strip() + "\n"
    try:
        done = subprocess.run(
            ["ssh-add", "-q", "-"], input=text, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OpsError(f"ssh-add cannot be run: {error}") from None
    if done.returncode != 0:
        # What it says may quote what it read.
        raise OpsError(f"{KEY} holds no private key that ssh-add takes; it must have no passphrase")
