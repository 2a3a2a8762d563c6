"""`tilth run archive` and the like, `tilth retention`, `tilth trash`: what a person sees who tidies up."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tilth.cli.main import cli


@pytest.fixture
def tilth(installation):
    environment = {"TILTH_URL": installation.url, "TILTH_TOKEN": installation.owner_token, "TILTH_PROJECT": "default"}

    def call(*arguments: str, typed: str = ""):
        return CliRunner().invoke(cli, arguments, env=environment, input=typed)

    return call


@pytest.fixture
def runs(installation) -> list[str]:
    made = [
        installation.client.post("/api/v1/p/default/runs", json={"name": name}).json()["id"] for name in ("one", "two", "other")
    ]
    for run_id in made:
        installation.client.patch(f"/api/v1/p/default/runs/{run_id}", json={"status": "finished"})
    return made


def deleted(installation) -> set[str]:
    return {entry["name"] for entry in installation.client.get("/api/v1/p/default/trash").json()["entries"]}


def test_a_filter_asks_first_and_no_is_no(tilth, runs, installation):
    asked = tilth("run", "delete", "--filter", "name~o", typed="n\n")
    assert asked.exit_code == 1
    assert "delete 3 runs?" in asked.stderr
    assert deleted(installation) == set()


def test_a_change_tells_how_to_take_it_back(tilth, runs, installation):
    done = tilth("run", "delete", "--filter", "name=one", "--yes")
    assert done.exit_code == 0, done.output
    assert f"undo: tilth run restore {runs[0]}" in done.stderr
    assert deleted(installation) == {"one"}
    assert tilth("run", "restore", runs[0]).exit_code == 0
    assert deleted(installation) == set()


def test_a_dry_run_names_the_runs_and_changes_nothing(tilth, runs, installation):
    planned = tilth("run", "archive", "--filter", "name=two", "--dry-run", "--json")
    assert json.loads(planned.stdout) == {"do": "archive", "runs": [runs[1]], "unchanged": 0, "dry_run": True}
    assert json.loads(tilth("run", "archive", "--filter", "name=two", "--yes", "--json").stdout)["runs"] == [runs[1]]
    assert "nothing to archive" in tilth("run", "archive", "--filter", "name=two").stdout


def test_ids_and_a_filter_together_are_wrong_usage(tilth, runs):
    assert tilth("run", "delete", runs[0], "--filter", "").exit_code == 2
    assert tilth("run", "delete").exit_code == 2
    assert tilth("run", "tag", runs[0], "--set", "nothing").exit_code == 2


def test_the_trash_is_listed_restored_from_and_emptied(tilth, runs, installation):
    tilth("run", "delete", *runs)
    assert {row["name"] for row in json.loads(tilth("trash", "list", "--json").stdout)} == {"one", "two", "other"}
    assert tilth("trash", "restore", "two").exit_code == 0
    emptied = tilth("trash", "empty", typed="y\n")
    assert "Delete 2 runs for good?" in emptied.stderr
    assert "deleted 2 runs for good" in emptied.stdout
    assert deleted(installation) == set()


def test_rules_are_added_planned_applied_and_removed(tilth, runs, installation):
    assert tilth("retention", "add", "delete", "--after-days", "0", "--filter", "name=one").exit_code == 0
    assert "would delete 1 run " in tilth("retention", "plan").stdout
    assert deleted(installation) == set()
    assert "done: delete 1 run " in tilth("retention", "apply").stdout
    assert deleted(installation) == {"one"}
    (rule,) = json.loads(tilth("retention", "list", "--json").stdout)
    assert tilth("retention", "remove", rule["id"]).exit_code == 0
    assert "no retention rules" in tilth("retention", "list").stderr
