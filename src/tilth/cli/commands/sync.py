"""`tilth sync`: sends what runs left on disk while their server was away."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tilth.cli.caller import Caller, shared
from tilth.core.errors import Invalid, TilthError
from tilth.sdk import journal, syncing
from tilth.sdk.http import Http
from tilth.sdk.uploads import Bar


class NoSuchJournal(Invalid):
    """The named folder is not there."""


class NotAllSent(TilthError):
    """Some of the journal waits on, or was refused."""


@click.command(
    epilog="""\b
Examples:
  tilth sync
  tilth sync /scratch/journal --url https://tilth.example.org
  tilth sync --watch
""",
)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Go on, and send what runs write from now on, until Ctrl-C.")
@click.option(
    "--every-s",
    type=click.FloatRange(0.2, 3600),
    default=5.0,
    show_default=True,
    help="Seconds between rounds of --watch.",
)
@shared()
def sync(caller: Caller, folder: Path | None, watch: bool, every_s: float) -> None:
    """Send the runs that wait in FOLDER (TILTH_JOURNAL, else the home's journal), each value once.

    It may be killed and started again. Runs that were meant for another server wait, unless --url names one.
    """
    root = Path(os.path.abspath(folder)) if folder is not None else journal.journal_root(os.environ, Path.cwd())
    if folder is not None and not root.is_dir():
        raise NoSuchJournal(f"there is no folder {root}; `tilth sync` without one looks where this shell's runs would wait")
    target = caller.target()
    to = syncing.Destination(
        Http(target.url, target.token), caller.project or "", target.project, anywhere=caller.url is not None, home=target.home
    )
    bar = Bar("sending")
    if watch:
        syncing.watch(root, to, every_s, lambda report: _tell(caller, report, quiet=True), bar)
        return
    report = syncing.sync(root, to, bar)
    _tell(caller, report)
    if report.waiting or report.refused:
        raise NotAllSent(f"{len(report.waiting)} journals wait on and {len(report.refused)} entries were refused in {root}")


def _tell(caller: Caller, report: syncing.Report, *, quiet: bool = False) -> None:
    if caller.as_json and not quiet:
        caller.show_record({"sent": report.sent, "refused": report.refused, "waiting": report.waiting})
        return
    for run_id, size in report.sent.items():
        click.echo(f"sent {size:,} bytes of run {run_id}")
    for line in report.refused:
        click.echo(f"refused: {line}", err=True)
    for name, reason in report.waiting.items():
        if not (quiet and reason.endswith("still writing")):
            click.echo(f"waiting: {name} {reason}".replace(":  ", ": "), err=True)
    if not (report.sent or report.refused or report.waiting or quiet):
        click.echo("nothing waits")
