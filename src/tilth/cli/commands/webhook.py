"""`tilth webhook ...`."""

from __future__ import annotations

import click

from tilth.cli.caller import Caller, shared
from tilth.cli.client import Api

COLUMNS = ("name", "url", "events", "active", "waiting", "failed", "last_delivered", "problem")
DELIVERY_COLUMNS = ("id", "event", "state", "attempts", "response_status", "created", "error")


@click.group(
    epilog="""\b
Examples:
  tilth webhook list
  tilth webhook create ci https://ci.example.org/tilth --event model_alias.moved --event run.failed
  tilth webhook test ci
  tilth webhook deliveries ci
"""
)
def webhook() -> None:
    """Webhooks: addresses that hear of runs, models and deployments. Messages are signed as Standard Webhooks says."""


@webhook.command("list", epilog="\b\nExample:\n  tilth webhook list --json\n")
@shared()
def list_webhooks(caller: Caller) -> None:
    """List the webhooks of the project."""
    with Api(caller.target()) as api:
        rows = api.get(api.in_project("webhooks"))["webhooks"]
    caller.show_rows(rows, COLUMNS, "no webhooks; make one with `tilth webhook create NAME URL --event run.failed`")


@webhook.command(
    "create", epilog="\b\nExamples:\n  tilth webhook create ci https://ci.example.org/tilth --event model_version.registered\n"
)
@click.argument("name")
@click.argument("address", metavar="URL")
@click.option("--event", "events", multiple=True, help="Event to send; repeat it (default: all of them).")
@shared()
def create_webhook(caller: Caller, name: str, address: str, events: tuple[str, ...]) -> None:
    """Send events to URL from now on. The secret that receivers check signatures with is shown once, on stdout."""
    with Api(caller.target()) as api:
        made = api.call("POST", api.in_project("webhooks"), {"name": name, "url": address, "events": list(events) or ["*"]})
    if not caller.as_json:
        click.echo(f"webhook {name} is made; its secret, not shown again (try it with `tilth webhook test {name}`):", err=True)
    caller.done(made["secret"], made)


@webhook.command(
    "update", epilog="\b\nExamples:\n  tilth webhook update ci --event run.failed\n  tilth webhook update ci --deactivate\n"
)
@click.argument("name")
@click.option("--to", "address", metavar="URL", help="New URL.")
@click.option("--event", "events", multiple=True, help="Events to send instead of the present ones; repeat it.")
@click.option("--activate/--deactivate", "active", default=None, help="Send again, or send nothing for now.")
@shared()
def update_webhook(caller: Caller, name: str, address: str | None, events: tuple[str, ...], active: bool | None) -> None:
    """Change where a webhook sends, what, or whether."""
    wanted = {"url": address, "events": list(events) or None, "active": active}
    changes = {field: value for field, value in wanted.items() if value is not None}
    if not changes:
        raise click.UsageError("nothing to change: give --to, --event, --activate or --deactivate")
    with Api(caller.target()) as api:
        changed = api.call("PATCH", api.in_project("webhooks", name), changes)
    caller.done(f"webhook {name} {'sends' if changed['active'] else 'does not send'} to {changed['url']}", changed)


@webhook.command("secret", epilog="\b\nExample:\n  tilth webhook secret ci\n")
@click.argument("name")
@shared()
def change_secret(caller: Caller, name: str) -> None:
    """Make a new secret. For a day messages carry the signatures of the old one, too."""
    with Api(caller.target()) as api:
        made = api.call("POST", api.in_project("webhooks", name, "secret"))
    caller.done(made["secret"], made)


@webhook.command("test", epilog="\b\nExample:\n  tilth webhook test ci\n")
@click.argument("name")
@shared()
def test_webhook(caller: Caller, name: str) -> None:
    """Send a message of type `webhook.test`."""
    with Api(caller.target()) as api:
        sent = api.call("POST", api.in_project("webhooks", name, "test"))
    caller.done(f"sent {sent['delivery']}; see what became of it with `tilth webhook deliveries {name}`", sent)


@webhook.command("deliveries", epilog="\b\nExample:\n  tilth webhook deliveries ci --json\n")
@click.argument("name")
@shared()
def list_deliveries(caller: Caller, name: str) -> None:
    """List the newest messages: delivered, waiting for another attempt, or given up."""
    with Api(caller.target()) as api:
        rows = api.get(api.in_project("webhooks", name, "deliveries"))["deliveries"]
    caller.show_rows(rows, DELIVERY_COLUMNS, f"nothing was sent yet; try `tilth webhook test {name}`")


@webhook.command("retry", epilog="\b\nExample:\n  tilth webhook retry ci msg_0123456789abcdef0123456789abcdef\n")
@click.argument("name")
@click.argument("delivery_id")
@shared()
def retry(caller: Caller, name: str, delivery_id: str) -> None:
    """Send a message once more."""
    with Api(caller.target()) as api:
        api.call("POST", api.in_project("webhooks", name, "deliveries", delivery_id, "retry"))
    caller.done(f"{delivery_id} is sent again", {"delivery": delivery_id})


@webhook.command("delete", epilog="\b\nExample:\n  tilth webhook delete ci\n")
@click.argument("name")
@shared()
def delete_webhook(caller: Caller, name: str) -> None:
    """Stop sending, and forget what was sent."""
    with Api(caller.target()) as api:
        api.call("DELETE", api.in_project("webhooks", name))
    caller.done(f"deleted webhook {name}", {"name": name})
