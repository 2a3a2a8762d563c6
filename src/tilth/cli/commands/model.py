"""`tilth model ...`."""

from __future__ import annotations

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api
from tilth.cli.commands import import_model, model_approval, model_evaluation
from tilth.cli.commands.model_group import model
from tilth.cli.references import names_files, parse_reference, parse_version

MODEL_COLUMNS = ("name", "newest", "versions", "aliases", "description", "updated")
VERSION_COLUMNS = ("version", "aliases", "flavour", "engine", "in_use_by", "run_id", "created", "creator")


@model.command("list", epilog="\b\nExample:\n  tilth model list --json\n")
@click.option("--limit", "-n", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@shared()
def list_models(caller: Caller, limit: int) -> None:
    """List the registered models."""
    with Api(caller.target()) as api:
        rows = list(api.rows(api.in_project("models"), "models", limit))
    caller.show_rows(rows, MODEL_COLUMNS, "no models; `tilth.log_model(model, name=...)` makes one")


@model.command("show", epilog="\b\nExample:\n  tilth model show flight-delay\n")
@click.argument("name")
@shared()
def show_model(caller: Caller, name: str) -> None:
    """Show a model and its versions, newest first."""
    if "/" in name or "@" in name:
        raise click.UsageError(f"{name!r} names a version; name the model alone. `tilth model card {name}` shows one version")
    with Api(caller.target()) as api:
        found = api.get(api.in_project("models", name))
    if caller.as_json:
        caller.show_record(found)
        return
    caller.show_record(found["model"])
    click.echo()
    caller.show_rows(found["versions"], VERSION_COLUMNS, "no versions")


@model.command(
    "alias",
    epilog="\b\nExamples:\n  tilth model alias flight-delay/3 champion\n  tilth model alias flight-delay@champion --remove\n"
    "  tilth model alias flight-delay/3 champion --override 'the gate data are from the storm week'\n",
)
@click.argument("reference")
@click.argument("alias", required=False)
@click.option("--remove", is_flag=True, help="Take the alias off: give it as NAME@ALIAS.")
@click.option("--override", help="Set it in spite of gates and approvals; the reason is kept. Takes an owner.")
@shared()
def set_alias(caller: Caller, reference: str, alias: str | None, remove: bool, override: str | None) -> None:
    """Point ALIAS at the version REFERENCE (`flight-delay/3`); deployments that follow the alias move with it."""
    named = parse_reference(reference)
    with Api(caller.target()) as api:
        if remove:
            if named.alias is None or alias is not None:
                raise click.UsageError("with --remove name the alias as MODEL@ALIAS")
            api.call("DELETE", api.in_project("models", named.model, "aliases", named.alias))
            caller.done(f"removed alias {named}", {"model": named.model, "alias": named.alias, "version": None})
            return
        if named.version is None or alias is None:
            raise click.UsageError("name a version and an alias, such as: tilth model alias flight-delay/3 champion")
        path = api.in_project("models", named.model, "aliases", alias)
        if override is None:
            api.call("PUT", path, {"version": named.version})
        else:
            api.call("POST", f"{path}/override", {"version": named.version, "reason": override})
    caller.done(
        f"{named.model}@{alias} is version {named.version} now", {"model": named.model, "alias": alias, "version": named.version}
    )


@model.command("delete", epilog="\b\nExamples:\n  tilth model delete flight-delay/3\n  tilth model delete flight-delay\n")
@click.argument("reference")
@shared()
def delete_model(caller: Caller, reference: str) -> None:
    """Delete a version (`flight-delay/3`), or a model with all its versions (`flight-delay`), until the trash empties.

    Refused while a deployment serves it, or an alias names the version. The files of a version that went for good are deleted by the id
    of its logged model (`m-0190c2…`).
    """
    with Api(caller.target()) as api:
        if names_files(reference):
            api.call("DELETE", api.in_project("logged-models", reference))
            caller.done(f"deleted the files of {reference} for good", {"deleted": reference})
            return
        path: tuple[str, ...] = ("models", reference)
        if {"/", "@"} & set(reference):
            name, number = parse_version(api, reference)
            reference, path = f"{name}/{number}", ("models", name, "versions", str(number))
        api.call("DELETE", api.in_project(*path))
    caller.done(
        f"deleted {reference}; `tilth trash restore {reference}` takes it back until the trash empties", {"deleted": reference}
    )


__all__ = ["import_model", "model", "model_approval", "model_evaluation"]
