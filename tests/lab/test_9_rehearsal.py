"""The rehearsal of a pull request, from its comment to the nightly look: `make rehearse-pr` shows what a person reads.

An environment of its own, on the lab's machines: a git repository, a committed inventory, and nothing else than the
commands that .github/workflows runs, lent what their jobs are lent. GitHub alone is a stand-in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from lab.context import Lab
from tests.lab.conftest import IMAGE, eventually, get, with_image
from tests.lab.farm import MOUNT, mounted, report
from tests.lab.farm import PAGE as PAGE_OF_DEV
from tests.support.github import FakeGitHub, github, job_environment
from tests.support.project import Done, Project, copy_of_project
from tests.support.repository import git
from tests.support.stacks import another_stack

STACK = "rehearsal"
PORT = 30082
OWN_MOUNT = "/mnt/rehearsal"
INVENTORY = f"inventory/{STACK}.yaml"
KUBECONFIG = f".kube/{STACK}.yaml"
HEALER = "glusterfarm-heal-mnt-rehearsal"
NEXT_IMAGE = "glusterfarm.local/php:rehearsed"
PAGE, OLD, NEW = "content/index.php", "Reload: ", "Rehearsed: "


pytestmark = pytest.mark.uses("machines", "page")


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """The repository, the stand-in for GitHub, and where jobs keep what they hand on."""

    project: Project
    hub: FakeGitHub
    jobs: Path

    def commit(self, message: str) -> str:
        """Commit all that was edited; the commit."""
        git(self.project.directory, "add", "--all")
        git(self.project.directory, "commit", "--quiet", "--message", message)
        return self.head()

    def head(self) -> str:
        return git(self.project.directory, "rev-parse", "HEAD")

    def inventory(self, *left_out: str) -> None:
        """Write the inventory: the lab's minions without some."""
        minions = yaml.safe_load(self.project.lab.paths.inventory.read_text())["minions"]
        kept = [entry for entry in minions if entry["name"] not in left_out]
        self.project.write(INVENTORY, yaml.safe_dump({"minions": kept}))

    def job(self, *words: str, lent: Mapping[str, str] | None = None) -> Done:
        """``python -m ops ci WORDS`` in a job on pull request 7, as GitHub would run it; ``lent`` are its secrets."""
        base = git(self.project.directory, "rev-parse", "main")
        environment = job_environment(self.jobs, base=base, head=self.head())
        # Neither the lab's agent nor a kubeconfig of the user is anything that a job would have.
        apart = {"SSH_AUTH_SOCK": "", "KUBECONFIG": "", "GITHUB_ACTIONS": "", "GITHUB_API_URL": self.hub.url}
        return self.project.ops("ci", *words, env={**environment, **apart, **(lent or {})})

    def passed(self, *words: str, lent: Mapping[str, str] | None = None) -> Done:
        """A job that must be green."""
        done = self.job(*words, lent=lent)
        assert done.status == 0, done.text
        return done

    @property
    def for_previews(self) -> dict[str, str]:
        return {"KUBECONFIG_SECRET": self.project.lab.paths.kubeconfig.read_text()}

    @property
    def for_deployments(self) -> dict[str, str]:
        return {**self.for_previews, "MINIONS_SSH_KEY": self.project.lab.paths.key.read_text()}

    def nightly_look(self) -> Done:
        """The job `look` of the drift workflow."""
        into = self.jobs / "found" / f"drift-{STACK}"
        return self.job("drift", "--stack", STACK, "--output", str(into), lent=self.for_deployments)

    def nightly_issue(self) -> Done:
        """The job `issue` of the same."""
        stacks = self.passed("stacks", "--all").out
        return self.job("issue", str(self.jobs / "found"), "--stacks", stacks)

    def is_well(self) -> bool:
        return self.nightly_look().status == 0


@pytest.fixture
def rehearsal(lab: Lab, tmp_path: Path) -> Iterator[Rehearsal]:
    """The environment's configuration, with all minions but the last, committed on main; nothing is deployed yet."""
    project = copy_of_project(lab, tmp_path / "project")
    # A pull request on their content would touch them too.
    for other in ("staging", "prod"):
        (project.directory / f"Pulumi.{other}.yaml").unlink()
    own: dict[str, Mapping[str, object] | str] = {
        "environment": "staging",
        "inventory": INVENTORY,
        "gluster": {"mountPath": OWN_MOUNT},
        "kubernetes": {"kubeconfig": KUBECONFIG},
    }
    (tmp_path / "jobs").mkdir()
    with with_image(lab, NEXT_IMAGE), another_stack(project, STACK, PORT, **own), github() as hub:
        made = Rehearsal(project=project, hub=hub, jobs=tmp_path / "jobs")
        made.inventory(lab.minions()[-1].name)
        git(project.directory, "init", "--quiet")
        project.write(".git/info/exclude", "/.lab\n/.venv\n")
        made.commit("What is deployed")
        yield made
        # The jobs were lent it; who takes the environment down has put it there.
        (project.directory / KUBECONFIG).parent.mkdir(exist_ok=True)
        project.write(KUBECONFIG, lab.paths.kubeconfig.read_text())
    for minion in lab.minions():
        assert lab.exec(minion.name, ["test", "-e", OWN_MOUNT], check=False).returncode == 1
    assert STACK not in lab.exec(lab.minions()[0].name, ["ls", MOUNT]).stdout.split(), "its site is gone"
    assert "NotFound" in lab.kubectl("get", "namespace", STACK, check=False).stderr
    # The rest of the dev stack is the other process's to change meanwhile.
    page = f"http://{lab.minions()[0].address}:30080/helloworld.html"
    eventually(lambda: get(page) == PAGE_OF_DEV, seconds=60, what="the dev stack serves as before")


def images(lab: Lab) -> set[str]:
    """Of the environment's pods, those that are on their way out included."""
    path = "jsonpath={.items[*].spec.containers[*].image}"
    return set(lab.kubectl("get", "pods", "-n", STACK, "-o", path).stdout.split())


def show(title: str, text: str) -> None:
    print(f"\n{f' {title} ':=^120}\n{text}")


# Without the time that it takes to make a lab first.
@pytest.mark.timeout(900, func_only=True)
def test_a_pull_request_is_previewed_applied_and_looked_after(
    lab: Lab, rehearsal: Rehearsal, record_property: Callable[[str, object], None]
) -> None:
    project, hub, added = rehearsal.project, rehearsal.hub, lab.minions()[-1].name
    first = rehearsal.passed("deploy", "--stack", STACK, lent=rehearsal.for_deployments)
    assert images(lab) == {IMAGE}
    assert not mounted(lab, added, OWN_MOUNT)

    # The pull request.
    git(project.directory, "switch", "--quiet", "--create", "change")
    project.edit(PAGE, OLD, NEW)
    rehearsal.inventory()
    project.edit(f"Pulumi.{STACK}.yaml", f"image: {IMAGE}", f"image: {NEXT_IMAGE}")
    head = rehearsal.commit(f"A file, a minion ({added}) and an image")

    stacks = rehearsal.passed("stacks")
    assert json.loads(stacks.out) == [STACK]
    preview = str(rehearsal.jobs / "preview")
    previewed = rehearsal.passed("preview", "--stack", STACK, "--output", preview, lent=rehearsal.for_previews)
    assert previewed.out == f"10 changes: stack `{STACK}`\n"
    rehearsal.passed("comment", f"{preview}/comment.md")
    gate = rehearsal.passed("gate", f"{preview}/facts.json")
    (posted,) = hub.comments
    show("the comment on the pull request", posted["body"])
    print(f"the gate: {gate.out}")
    decided_from(posted["body"], project, added=added, image=NEXT_IMAGE, head=head)

    # Merged, and applied.
    git(project.directory, "switch", "--quiet", "main")
    git(project.directory, "merge", "--quiet", "--ff-only", "change")
    applied = rehearsal.passed("deploy", "--stack", STACK, lent=rehearsal.for_deployments)
    assert mounted(lab, added, OWN_MOUNT)
    eventually(lambda: images(lab) == {NEXT_IMAGE}, seconds=60, what="every pod is of the new image")
    for minion in lab.minions():
        door = f"http://{minion.address}:{PORT}/"
        eventually(lambda door=door: NEW in get(door), seconds=60, what=f"the new page at {door}")  # type: ignore[misc]

    # The nights after it.
    well = rehearsal.nightly_look()
    assert (well.status, well.out) == (0, f"## No drift: stack `{STACK}`\n"), well.text
    assert (rehearsal.nightly_issue().status, hub.issues) == (0, [])

    lab.exec(added, ["systemctl", "stop", f"{HEALER}.timer", f"{HEALER}.service"])
    lab.exec(added, ["umount", "--lazy", OWN_MOUNT])
    drifted = rehearsal.nightly_look()
    assert (drifted.status, drifted.err) == (1, "")
    assert named(drifted.out) == {(added, "mount"), (added, "healing timer")}, drifted.out
    assert "### In the cluster" not in drifted.out, "nor is anything of the cluster told that is as it should be"
    assert rehearsal.nightly_issue().status == 1
    (issue,) = hub.issues
    show(f"the issue: {issue['title']}", issue["body"])
    assert issue["state"] == "open"
    assert named(issue["body"]) == named(drifted.out)

    lab.exec(added, ["systemctl", "start", f"{HEALER}.timer"])
    eventually(rehearsal.is_well, seconds=90, what="what was broken is mounted again")
    assert rehearsal.nightly_issue().status == 0
    assert [it["state"] for it in hub.issues] == ["closed"]
    seconds = {"first": first, "preview": previewed, "applied": applied, "look": well}
    report(record_property, **{name: round(done.seconds, 1) for name, done in seconds.items()})


def decided_from(comment: str, project: Project, *, added: str, image: str, head: str) -> None:
    """What a reviewer sees: the verdict, each of the three changes and what it means, and nothing that is not so."""
    verdict, _, glance = comment.partition("\n\n")
    assert verdict == f"## 10 changes: stack `{STACK}`"
    (line,) = [it for it in (project.directory / PAGE).read_text().splitlines() if NEW in it]
    content, *others = glance.partition("\n\n")[0].splitlines()
    assert content.startswith("- **Content**: 1 file changed; release `")
    assert others == [
        f"- **Minions**: 1 mounted ({len(project.lab.minions())} minions afterwards)",
        "- **Pods**: **all are replaced by new ones**",
        "- **Service**: unchanged",
    ]
    assert f"\n### Minions\n\n- mounted: `{added}`\n\n" in comment
    assert f" Why:\n\n- image: `{IMAGE}` → `{image}`\n\n" in comment, "that, and nothing else"
    assert f"<code>{Path(PAGE).name}</code> +1 −1" in comment  # noqa: RUF001 (as it is written there)
    assert f"\n-{line.replace(NEW, OLD)}\n+{line}\n" in comment
    assert "DESTRUCTIVE" not in comment
    assert "Not compared with the cluster" not in comment
    assert f"*Of commit {head[:12]}, compared with " in comment
    assert comment.endswith(f"\n\n<!-- glusterfarm preview of {STACK} -->\n")


def named(markdown: str) -> set[tuple[str, str]]:
    """Each finding: the minion, what of it."""
    findings = [line.removeprefix("- `").split("`: `") for line in markdown.splitlines() if line.startswith("- `")]
    return {(minion, what.partition("`")[0]) for minion, what, *_ in findings}
