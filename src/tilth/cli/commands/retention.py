"""`tilth retention ...` and `tilth trash ...`: what a project lets go by itself, and what was deleted."""

from __future__ import annotations

from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.core.errors import NotFound

ACTIONS = ("archive", "delete", "drop_artifacts", "drop_points")
WORDS = {
    "archive": "archive {runs}",
    "delete": "delete {runs}",
    "drop_artifacts": "drop {count:,} artifacts ({bytes:,} bytes) of {runs}",
    "drop_points": "drop {count:,} metric points of {runs}; the last, least and greatest values stay",
}
RESTORE = {"run": "runs", "experiment": "experiments", "model": "models"}


class NotInTrash(NotFound):
    """No deleted thing of this id or name."""


@click.group(
    epilog="\b\nExamples:\n  tilth retention add delete --after-days 90 --filter 'status=failed'\n"
    "  tilth retention plan\n  tilth retention list\n"
)
def retention() -> None:
    """Retention rules: what a project lets go by itself, once an hour."""


@retention.command("list", epilog="\b\nExample:\n  tilth retention list\n")
@shared()
def list_rules(caller: Caller) -> None:
    """List the rules of the project."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("retention"))
    columns = ("id", "action", "after_days", "filter", "creator", "created")
    caller.show_rows(
        found["rules"], columns, "no retention rules: runs stay; `tilth retention add --help` shows what one looks like"
    )
    if not caller.as_json:
        click.echo(f"deleted things stay in the trash for {found['trash_days']} days", err=True)


@retention.command(
    "add",
    epilog="\b\nExamples:\n  tilth retention add delete --after-days 90 --filter 'status=failed'\n"
    "  tilth retention add drop_points --after-days 365\n",
)
@click.argument("action", type=click.Choice(ACTIONS))
@click.option("--after-days", type=int, required=True, help="Days after the end of a run.")
@click.option(
    "--filter", "filter_", default="", help="Which runs, in the language of `tilth run list --filter`; all if left out."
)
@shared()
def add_rule(caller: Caller, action: str, after_days: int, filter_: str) -> None:
    """Add a rule. `tilth retention plan` shows what it comes to before the next round."""
    body = {"action": action, "after_days": after_days, "filter": filter_}
    with Api(caller.target()) as api:
        rules = api.call("POST", api.in_project("retention"), body)["rules"]
    caller.done(f"added rule {rules[-1]['id']}; look at `tilth retention plan`", rules[-1])


@retention.command("remove", epilog="\b\nExample:\n  tilth retention remove RULE_ID\n")
@click.argument("rule_id")
@shared()
def remove_rule(caller: Caller, rule_id: str) -> None:
    """Remove a rule; what it did stays done."""
    with Api(caller.target()) as api:
        api.call("DELETE", api.in_project("retention", rule_id))
    caller.done(f"removed rule {rule_id}", {"removed": rule_id})


@retention.command("plan", epilog="\b\nExample:\n  tilth retention plan\n")
@shared()
def plan_rules(caller: Caller) -> None:
    """Show what the rules would do now, and do nothing."""
    _apply(caller, dry_run=True)


@retention.command("apply", epilog="\b\nExample:\n  tilth retention apply\n")
@click.option("--dry-run", is_flag=True, help="As `tilth retention plan`.")
@shared()
def apply_rules(caller: Caller, dry_run: bool) -> None:
    """Do now what the rules would do within the hour."""
    _apply(caller, dry_run=dry_run)


def _apply(caller: Caller, *, dry_run: bool) -> None:
    with Api(caller.target(), timeout_s=600.0) as api:
        report = api.call("POST", api.in_project("retention", "apply"), {"dry_run": dry_run})
    if caller.as_json:
        caller.done("", report)
        return
    for step in report["steps"]:
        words = WORDS[step["action"]].format(runs=_counted({"run": len(step["runs"])}), count=step["count"], bytes=step["bytes"])
        click.echo(f"{'would ' if dry_run else 'done: '}{words}  (rule {step['rule']})")
    if not report["steps"]:
        click.echo("nothing to do", err=True)
    if report["spared"]:
        click.echo(f"{_counted({'run': report['spared']})} spared: model versions came from there", err=True)
    if report["more"]:
        click.echo("there is more; the next round goes on", err=True)


@click.group(epilog="\b\nExamples:\n  tilth trash list\n  tilth trash restore RUN_ID\n  tilth trash empty --older-than-days 7\n")
def trash() -> None:
    """The trash: deleted runs, experiments and models, until they are gone for good."""


@trash.command("list", epilog="\b\nExample:\n  tilth trash list\n")
@shared()
def list_trash(caller: Caller) -> None:
    """List what was deleted, and when it goes for good."""
    with Api(caller.target()) as api:
        found = api.get(api.in_project("trash"))
    rows = [{**entry, "goes_at": entry["goes"]} for entry in found["entries"]]
    caller.show_rows(rows, ("kind", "id", "name", "deleted", "goes_at"), "the trash is empty")


@trash.command("restore", epilog="\b\nExample:\n  tilth trash restore RUN_ID flight-delay/3\n")
@click.argument("ids", nargs=-1, required=True)
@shared()
def restore_from_trash(caller: Caller, ids: tuple[str, ...]) -> None:
    """Take things back: runs and experiments by id, models by name, versions as NAME/VERSION."""
    with Api(caller.target()) as api:
        entries = api.get(api.in_project("trash"))["entries"]
        for wanted in ids:
            api.call("POST", api.in_project(*_address(entries, wanted), "restore"))
    caller.done(f"restored {', '.join(ids)}", {"restored": list(ids)})


def _address(entries: list[dict[str, Any]], wanted: str) -> tuple[str, ...]:
    for entry in entries:
        if wanted not in (entry["id"], entry["name"]) or entry["kind"] == "logged_model":
            continue
        if entry["kind"] == "model_version":
            model, _, version = entry["name"].rpartition("/")
            return ("models", model, "versions", version)
        return (RESTORE[entry["kind"]], entry["name"] if entry["kind"] == "model" else entry["id"])
    raise NotInTrash(f"nothing called {wanted!r} can be restored from the trash; `tilth trash list` shows what lies there")


@trash.command("empty", epilog="\b\nExamples:\n  tilth trash empty\n  tilth trash empty RUN_ID --yes\n")
@click.argument("ids", nargs=-1)
@click.option(
    "--older-than-days", type=click.IntRange(0, 36_500), default=0, show_default=True, help="Only what was deleted so long ago."
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@shared()
def empty_trash(caller: Caller, ids: tuple[str, ...], older_than_days: int, dry_run: bool, yes: bool) -> None:
    """Delete for good, now: everything in the trash, or the things named by id."""
    body = {"older_than_days": older_than_days, "ids": list(ids) or None}
    with Api(caller.target(), timeout_s=600.0) as api:
        where = api.in_project("trash", "empty")
        if dry_run or not yes:
            planned = api.call("POST", where, {**body, "dry_run": True})
            if dry_run or not planned["counts"]:
                caller.done(f"would delete {_counted(planned['counts'])} for good", planned)
                return
            click.confirm(f"Delete {_counted(planned['counts'])} for good? Nothing brings them back", abort=True, err=True)
        done = api.call("POST", where, body)
    caller.done(f"deleted {_counted(done['counts'])} for good; their bytes are freed after the grace period", done)


def _counted(counts: dict[str, int]) -> str:
    named = [f"{count} {kind.replace('_', ' ')}{'' if count == 1 else 's'}" for kind, count in counts.items()]
    return ", ".join(named) or "nothing"
