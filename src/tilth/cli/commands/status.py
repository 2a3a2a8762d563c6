"""`tilth status`, `tilth open` and `tilth env`."""

from __future__ import annotations

import os
import shlex
import webbrowser
from typing import Any

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import API, Api
from tilth.cli.deployment_rows import DEPLOYMENT_COLUMNS, deployments_of, row_of
from tilth.cli.environment import variables


@click.command(epilog="\b\nExamples:\n  tilth status\n  tilth status --json\n")
@shared()
def status(caller: Caller) -> None:
    """Show whether the server answers and what is deployed. Exit code 1 if it does not answer."""
    target = caller.target()
    with Api(target, timeout_s=10) as api:
        health = api.get(f"{API}/health")
        who = api.get(f"{API}/whoami")
        deployments = deployments_of(api)
    record: dict[str, Any] = {
        "url": target.url,
        "serve_url": target.serve_url,
        "home": str(target.home) if target.home else "",
        "version": health.get("version", ""),
        "signed_in_as": who["name"],
        "project": target.project,
    }
    if caller.as_json:
        caller.show_record({**record, "deployments": deployments})
        return
    caller.show_record(record)
    click.echo()
    caller.show_rows(map(row_of, deployments), DEPLOYMENT_COLUMNS, "nothing is deployed in this project")
    for each in deployments:
        if each["status"]["unkept"]:
            click.secho(f"{each['name']}: {each['status']['unkept']}", fg="yellow", err=True)


@click.command(
    "open",
    epilog="\b\nExamples:\n  tilth open\n  tilth open --print          only print the link, for another browser on this machine\n",
)
@click.option("--print", "only_print", is_flag=True, help="Print the link and open nothing.")
@shared(project=False)
def open_pages(caller: Caller, only_print: bool) -> None:
    """Open the pages in a browser, signed in by a link that works once."""
    with Api(caller.target()) as api:
        link = api.call("POST", f"{API}/login-links")
    if not only_print and not caller.as_json:
        webbrowser.open(link["url"])
    caller.done(link["url"], link)


@click.command(
    epilog="""\b
Examples:
  eval "$(tilth env)"
  tilth env --shell fish | source
"""
)
@click.option("--shell", type=click.Choice(["bash", "fish"]), help="Dialect (default: that of SHELL; bash fits zsh and sh, too).")
@shared()
def env(caller: Caller, shell: str | None) -> None:
    """Print the variables that connect a shell, the SDK and the mlflow client with this server."""
    found = variables(caller.target())
    if caller.as_json:
        caller.show_record(found)
        return
    fish = (shell or os.path.basename(os.environ.get("SHELL", ""))) == "fish"
    for name, value in found.items():
        click.echo(f"set -gx {name} {shlex.quote(value)}" if fish else f"export {name}={shlex.quote(value)}")
