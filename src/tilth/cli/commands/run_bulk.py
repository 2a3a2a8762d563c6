"""`tilth run archive|unarchive|delete|restore|tag|move`: the same change to many runs, named by ids or by a filter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api

UNDO = {"archive": "unarchive", "unarchive": "archive", "delete": "restore", "restore": "delete"}
DONE = {
    "archive": "archived",
    "unarchive": "unarchived",
    "delete": "deleted",
    "restore": "restored",
    "tag": "tagged",
    "move": "moved",
}
SHOWN_IDS = 20


def bulk_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """RUN_IDS, --filter, --experiment, --dry-run, --yes and what every command shares."""
    decorators: list[Callable[[Any], Any]] = [
        click.argument("run_ids", nargs=-1),
        click.option("--filter", "filter_", help='The runs that meet this filter, such as "auc < 0.5"; "" means every run.'),
        click.option("--experiment", help="With --filter: only runs of this experiment."),
        click.option("--dry-run", is_flag=True, help="Say which runs it would change, and change nothing."),
        click.option("--yes", "-y", is_flag=True, help="Do not ask."),
        shared(),
    ]
    for decorate in reversed(decorators):
        function = decorate(function)
    return function


@click.command(
    "archive", epilog="\b\nExamples:\n  tilth run archive RUN_ID RUN_ID\n  tilth run archive --filter 'status=failed' --yes\n"
)
@bulk_options
def archive_runs(caller: Caller, **named: Any) -> None:
    """Put runs out of sight; lists leave them out and nothing is lost."""
    change(caller, "archive", named)


@click.command("unarchive", epilog="\b\nExample:\n  tilth run unarchive RUN_ID\n")
@bulk_options
def unarchive_runs(caller: Caller, **named: Any) -> None:
    """Take archived runs back into the lists."""
    change(caller, "unarchive", named)


@click.command(
    "delete", epilog="\b\nExamples:\n  tilth run delete RUN_ID RUN_ID\n  tilth run delete --filter 'auc<0.5' --experiment tries\n"
)
@bulk_options
def delete_runs(caller: Caller, **named: Any) -> None:
    """Delete runs; until the trash empties, `tilth run restore` takes them back."""
    change(caller, "delete", named)


@click.command("restore", epilog="\b\nExamples:\n  tilth run restore RUN_ID\n  tilth run restore --filter 'tags.team=search'\n")
@bulk_options
def restore_runs(caller: Caller, **named: Any) -> None:
    """Take deleted runs back."""
    change(caller, "restore", named)


@click.command(
    "tag", epilog="\b\nExamples:\n  tilth run tag RUN_ID --set reviewed=yes\n  tilth run tag --filter 'auc>0.9' --remove draft\n"
)
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Set a tag; repeat it.")
@click.option("--remove", "removed", multiple=True, metavar="KEY", help="Take a tag off; repeat it.")
@bulk_options
def tag_runs(caller: Caller, pairs: tuple[str, ...], removed: tuple[str, ...], **named: Any) -> None:
    """Set tags of runs, or take them off."""
    tags: dict[str, str | None] = dict.fromkeys(removed)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--set takes KEY=VALUE, not {pair!r}")
        tags[key] = value
    if not tags:
        raise click.UsageError("say which tags: --set KEY=VALUE or --remove KEY")
    change(caller, "tag", named, tags=tags)


@click.command("move", epilog="\b\nExample:\n  tilth run move RUN_ID RUN_ID --to flights-2\n")
@click.option("--to", required=True, help="Experiment the runs go to; it must be there.")
@bulk_options
def move_runs(caller: Caller, to: str, **named: Any) -> None:
    """Move runs to another experiment of the project."""
    change(caller, "move", named, to=to)


def change(caller: Caller, do: str, named: dict[str, Any], **more: Any) -> None:
    """Asks before it changes what a filter finds; ids were typed by hand and are not asked about."""
    run_ids, filter_ = list(named["run_ids"]), named["filter_"]
    if bool(run_ids) == (filter_ is not None):
        raise click.UsageError("name runs by their ids, or by --filter: one of the two")
    body: dict[str, Any] = {"do": do, **more}
    with Api(caller.target(), timeout_s=300.0) as api:
        where = api.in_project("runs", "bulk")
        if run_ids:
            body["runs"] = run_ids
        else:
            body |= {"filter": filter_, "experiment": named["experiment"]}
        if named["dry_run"] or (filter_ is not None and not named["yes"]):
            planned = api.call("POST", where, {**body, "dry_run": True})
            if named["dry_run"] or not planned["runs"]:
                _tell(caller, f"would {do}" if planned["runs"] else f"nothing to {do}:", planned)
                return
            _tell(Caller(None, None, None, None, False), f"about to {do}", planned, err=True)
            click.confirm(f"{do} {_count(planned['runs'])}?", abort=True, err=True)
        done = api.call("POST", where, body)
    _tell(caller, DONE[do], done)
    if not caller.as_json and do in UNDO and done["runs"]:
        click.echo(f"undo: {_undo(do, done['runs'])}", err=True)


def _tell(caller: Caller, verb: str, result: dict[str, Any], err: bool = False) -> None:
    if caller.as_json:
        caller.done("", result)
        return
    ids = result["runs"]
    shown = ", ".join(ids[:SHOWN_IDS]) + (f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else "")
    already = f"; {result['unchanged']} were so already" if result["unchanged"] else ""
    click.echo(f"{verb} {_count(ids)}{already}{': ' if ids else ''}{shown}", err=err)


def _count(ids: list[str]) -> str:
    return f"{len(ids):,} run{'' if len(ids) == 1 else 's'}"


def _undo(do: str, ids: list[str]) -> str:
    if len(ids) <= SHOWN_IDS:
        return f"tilth run {UNDO[do]} {' '.join(ids)}"
    return f"tilth run {UNDO[do]} with the ids that `--json` prints"
