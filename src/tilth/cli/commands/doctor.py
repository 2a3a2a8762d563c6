"""`tilth doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click
from alembic.script import ScriptDirectory

from tilth.app.migrations import SCRIPTS
from tilth.app.schema import prepare_database
from tilth.app.settings import Settings, load_settings
from tilth.backends.sql import open_database
from tilth.cli.caller import Caller, shared, show_json
from tilth.cli.checks.answers import check_control, check_events, check_model_servers, check_ports, check_settings_note
from tilth.cli.checks.findings import Finding, broken, note, ok
from tilth.cli.checks.installation import check_packages, check_python
from tilth.cli.checks.place import check_clock, check_home, check_locks, check_sqlite
from tilth.cli.checks.shipping import check_shipping
from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.core.home import DATABASE_FILE, NoServer, find_target

COLOURS = {"ok": "green", "note": "yellow", "broken": "red"}


@click.command(epilog="\b\nExamples:\n  tilth doctor\n  tilth doctor --home ./.tilth --json\n  tilth doctor --try-migrations\n")
@click.option("--try-migrations", is_flag=True, help="Also try the pending migrations of the database, without keeping them.")
@shared(project=False, server=False)
def doctor(caller: Caller, try_migrations: bool) -> None:
    """Find out what is wrong with an installation and how to mend it. Changes nothing. Exit code 1 if anything is broken."""
    findings = list(examine(caller.home_folder(), try_migrations=try_migrations))
    if caller.as_json:
        show_json([finding.to_dict() for finding in findings])
    else:
        for finding in findings:
            _show(finding)
        bad = sum(finding.condition == "broken" for finding in findings)
        click.echo(
            f"\n{bad} of {len(findings)} things are broken" if bad else f"\nnothing is broken ({len(findings)} things looked at)"
        )
    if any(finding.condition == "broken" for finding in findings):
        raise click.exceptions.Exit(1)


def examine(home: Path, *, try_migrations: bool = False) -> Iterator[Finding]:
    yield check_python()
    yield from check_packages()
    yield from check_home(home)
    try:
        settings = load_settings(home, os.environ)
    except TilthError as error:
        yield broken("settings", str(error), f"mend {home / 'tilth.toml'} or the environment")
        return
    yield check_settings_note(settings)
    yield check_clock(home, clock.now())
    yield from _check_database(settings)
    if try_migrations:
        yield _tried_migrations(settings)
    if not home.is_dir():
        yield from check_ports(settings)
        return
    yield from check_locks(home)
    try:
        # Only the home counts here: TILTH_URL may well name another server.
        target = find_target({}, home, home=home)
    except (NoServer, TilthError):
        yield from check_ports(settings)
        return
    yield (control := check_control(target))
    if control.condition == "ok":
        yield check_events(target)
    yield from check_model_servers(home, target, clock.now())
    yield from check_shipping(home, clock.now())


def _check_database(settings: Settings) -> Iterator[Finding]:
    if settings.on_sqlite:
        scripts = ScriptDirectory(str(SCRIPTS))
        known = frozenset(script.revision for script in scripts.walk_revisions())
        yield from check_sqlite(settings.home / DATABASE_FILE, known, frozenset(scripts.get_heads()))
        return
    try:
        database = open_database(settings.database)
        database.close()
    except TilthError as error:
        yield broken("database", str(error), "start PostgreSQL, or mend database_url")
    else:
        yield ok("database", "PostgreSQL answers")


def _tried_migrations(settings: Settings) -> Finding:
    """On a copy (SQLite), or in a transaction that is undone (PostgreSQL): the database stays as it is."""
    if settings.on_sqlite and not (settings.home / DATABASE_FILE).exists():
        return note("migrations", "there is no database to try them on yet", "`tilth up` makes it")
    try:
        report = prepare_database(settings, dry_run=True)
    except TilthError as error:
        return broken("migrations", str(error), "go on with the version of Tilth that you had, and report this")
    applied = ", ".join(report.applied)
    return ok("migrations", f"{applied} can be applied; the next `tilth up` does" if applied else "none is pending")


def _show(finding: Finding) -> None:
    word = click.style(finding.condition.ljust(6), fg=COLOURS[finding.condition], bold=finding.condition == "broken")
    click.echo(f"{word}  {finding.what}: {finding.found}")
    if finding.mend:
        click.echo(f"        {click.style('->', dim=True)} {finding.mend}")
