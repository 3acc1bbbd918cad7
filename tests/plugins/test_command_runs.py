"""command: when a command runs again, which one, and what it knows of the run before."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.plugins.harness import Planned, Project, Run, copy

KIND = "command:local:Command"
PROGRAM = """
    from pulumi_command import local
    version = args["version"]
    def command(name, **given):
        return local.Command(name, **given)

    command("plain", create=f"echo create-{version} >> plain; echo out-{version}",
            delete=f"echo delete-{version}-$PULUMI_COMMAND_STDOUT >> plain")
    command("updated", create="echo create >> updated; echo created", stdin=str(version),
            update="echo update-$PULUMI_COMMAND_STDOUT >> updated; echo updated")
    command("unaware", create="echo create >> unaware; echo created", stdin=str(version),
            update="echo update-$PULUMI_COMMAND_STDOUT >> unaware", add_previous_output_in_env=False)
    command("triggered", triggers=["a", {"deep": [version]}], update="echo update >> triggered",
            create=f"echo create-{version} >> triggered", delete=f"echo delete-{version} >> triggered")
    command("failing", create="echo created", stdin=str(version), update="echo update >> failing; test -e allowed")
    first = command("first", create=f"echo {version}")
    command("second", create=first.stdout.apply(lambda text: f"echo got-{text} >> second"))
    command("still", create="echo create >> still", delete="echo delete >> still")
    """


@dataclass(kw_only=True)
class Course:
    """What happened to one stack, and what each command had written down after each step."""

    project: Project
    logs: list[dict[str, list[str]]] = field(default_factory=list)

    def note(self) -> None:
        """Ends a step."""
        files = {path.name: path for path in self.project.directory.iterdir() if path.is_file()}
        self.logs.append({name: path.read_text().split() for name, path in files.items() if "." not in name})

    def log(self, name: str) -> list[list[str]]:
        """What a command wrote in each step."""
        texts = [step.get(name, []) for step in self.logs]
        return [now[len(before) :] for before, now in zip([[], *texts], texts, strict=False)]

    created: Run
    planned: dict[str, Planned]
    failed: Run
    stdout_after_failure: str
    repaired: Run
    unchanged: Run


@pytest.fixture(scope="module")
def course(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Course:
    project = copy(template, tmp_path_factory.mktemp("runs") / "project")
    project.write(PROGRAM)
    created = project.up(version=1)
    steps = Course(
        project=project,
        created=created,
        planned={},
        failed=created,
        stdout_after_failure="",
        repaired=created,
        unchanged=created,
    )
    steps.note()
    steps.planned = project.preview(version=2)
    steps.note()
    steps.failed = project.up("--continue-on-error", version=2, fails=True)
    steps.stdout_after_failure = project.resources()["failing"]["outputs"]["stdout"]
    steps.note()
    (project.directory / "allowed").touch()
    steps.repaired = project.up(version=2)
    steps.note()
    steps.unchanged = project.up(version=2)
    steps.note()
    project.up("--target", project.uri(KIND, "plain"), "--target-replace", project.uri(KIND, "triggered"), version=3)
    steps.note()
    project.destroy()
    steps.note()
    return steps


# steps: 0 created, 1 previewed, 2 changed, 3 repaired, 4 unchanged, 5 targeted and replaced, 6 destroyed


def test_changed_input_runs_update_else_create(course: Course) -> None:
    assert course.log("plain")[:5] == [["create-1"], [], ["create-2"], [], []]
    assert course.log("updated")[:5] == [["create"], [], ["update-created"], [], []]
    assert course.planned["plain"].op == "update"
    assert course.planned["plain"].diff == {"create": "update", "delete": "update"}
    assert course.unchanged.summary == {"unchanged": 9}


def test_unchanged_input_runs_nothing(course: Course) -> None:
    assert course.log("still")[:6] == [["create"], [], [], [], [], []]
    assert "still" not in course.planned


def test_preview_runs_nothing(course: Course) -> None:
    for name in course.logs[1]:
        assert course.log(name)[1] == [], name


def test_changed_triggers_replace_new_create_first_then_old_delete(course: Course) -> None:
    assert course.planned["triggered"].op == "replace"
    assert course.planned["triggered"].diff == {
        "create": "update",
        "delete": "update",
        "triggers[1].deep[0]": "update-replace",
    }
    assert course.planned["triggered"].reasons == [], "the engine replaces it, as the SDK asks it to"
    assert course.log("triggered")[2] == ["create-2", "delete-1"]


def test_replacement_can_be_asked_for(course: Course) -> None:
    assert course.log("triggered")[5] == ["create-3", "delete-2"]


def test_previous_output_is_in_the_environment_unless_not_wanted(course: Course) -> None:
    assert course.log("updated")[2] == ["update-created"]
    assert course.log("unaware")[2] == ["update-"]


def test_failed_update_keeps_the_old_output_and_is_tried_again(course: Course) -> None:
    assert course.log("failing")[:5] == [[], [], ["update"], ["update"], []]
    assert "exit status 1" in course.failed.diagnostics
    assert course.stdout_after_failure == "created"


def test_values_that_come_from_a_command_are_unknown_at_preview(course: Course) -> None:
    assert course.planned["second"].op == "update"
    assert course.log("second")[:3] == [["got-1"], [], ["got-2"]]


def test_target_leaves_the_others_alone(course: Course) -> None:
    assert course.log("plain")[5] == ["create-3"]
    assert course.log("updated")[5] == []


def test_delete_is_the_states_own_and_knows_the_last_output(course: Course) -> None:
    assert course.log("plain")[6] == ["delete-3-out-3"]
    assert course.log("still")[6] == ["delete"]
