"""The command `tilth`: a table of commands, each imported when it is called, and the one place where errors become words."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

import click

from tilth.cli.table import CommandTable, Entry
from tilth.core.errors import TilthError

COMMANDS: dict[str, Entry] = {
    "up": Entry("up", "up", "Start Tilth here: pages, API and predictions."),
    "stop": Entry("up", "stop", "Stop the Tilth that `tilth up` started."),
    "status": Entry("status", "status", "Show whether the server answers and what is deployed."),
    "open": Entry("status", "open_pages", "Open the pages in a browser, signed in."),
    "env": Entry("status", "env", "Print the variables that connect a shell, the SDK and mlflow."),
    "doctor": Entry("doctor", "doctor", "Find out what is wrong with an installation and how to mend it."),
    "exec": Entry("execute", "execute", "Run a program inside a tracked run."),
    "reproduce": Entry("reproduce", "reproduce", "Make a run again: its code, data and packages in a folder, started."),
    "sweep": Entry("sweep", "sweep", "Sweeps: run, list, show, stop, resume."),
    "sync": Entry("sync", "sync", "Send the runs that wait on disk for a server."),
    "deploy": Entry("deployment", "deploy", "Put a model version behind a prediction address."),
    "predict": Entry("predict", "predict", "Send rows to a deployment and print its predictions."),
    "score": Entry("score", "score", "Score files of rows with a model version, into files."),
    "predictions": Entry("predictions", "predictions", "Kept predictions: list, show, export, flush, policy."),
    "serve": Entry("serve", "serve", "Serve one model without a Tilth server, as clouds' containers do."),
    "logs": Entry("logs", "logs", "Show what the processes of `tilth up` wrote."),
    "run": Entry("run", "run", "Runs: list, show, compare, watch, archive, delete, tag, move."),
    "retention": Entry("retention", "retention", "Retention rules: what a project lets go by itself."),
    "trash": Entry("retention", "trash", "The trash: list, restore, empty."),
    "import": Entry("move_in", "move_in", "Bring in runs and models: from MLflow, W&B or an export."),
    "image": Entry("image", "image", "Write a container image that serves a deployment anywhere."),
    "export": Entry("export", "export", "Write a project as open files, or manifests: kubernetes, kserve, sagemaker."),
    "import-model": Entry(
        "import_model", "import_model", "Register a model that was made elsewhere, with a look at what is in it."
    ),
    "model": Entry("model", "model", "Registered models: evaluate, compare, approve, alias, card."),
    "gate": Entry("gate", "gate", "Gates of a model: list, add, remove, check."),
    "rollout": Entry("rollout", "rollout", "Rollouts: start, show, list, watch, pause, resume, promote, rollback."),
    "deployment": Entry("deployment", "deployment", "Deployments: list, show, split, shadow, replay, rollback, delete."),
    "ab": Entry("ab", "ab", "A/B tests of deployments: list, create, start, show, stop, conclude."),
    "labels": Entry("labels", "labels", "Labels of predictions: log, coverage, outcomes, key, show."),
    "project": Entry("project", "project", "Projects: list, create, show, archive, restore, member."),
    "user": Entry("user", "user", "People and service accounts: list, create, reset, password, update."),
    "session": Entry("session", "session", "Your signed-in browsers: list, end."),
    "token": Entry("token", "token", "Tokens: list, create, revoke."),
    "audit": Entry("audit", "audit", "Audit trail: list, verify."),
    "webhook": Entry("webhook", "webhook", "Webhooks: list, create, update, test, deliveries."),
    "version": Entry("version", "version", "Show the version of Tilth."),
}


def _print_version(ctx: click.Context, option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        ctx.invoke(importlib.import_module("tilth.cli.commands.version").version, as_json=False)
        ctx.exit()


@click.group(cls=CommandTable, table=COMMANDS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version and exit."
)
def cli() -> None:
    """Tilth: runs, models, predictions and their audit in one product.

    \b
    Examples:
      tilth up                                start here; prints `ready <url>`
      tilth open                              open the pages, signed in
      tilth exec -- python train.py           track a training script
      tilth deploy flight-delay@champion      serve a model version
      tilth predict flight-delay --in rows.csv
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point.

    Exit codes: 0 done, 1 an error that is told, 2 wrong usage, 130 interrupted; `exec` and `reproduce` pass the program's on.
    """
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    try:
        code = cli.main(arguments, prog_name="tilth", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.Abort:
        click.echo("stopped", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TilthError as error:
        return _tell(str(error))
    except BrokenPipeError:
        # The reader (head, less) has seen enough; keep Python from complaining about it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _tell(f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}")
    except Exception as error:  # noqa: BLE001 - the outermost edge: nobody who types a command is shown a traceback
        if os.environ.get("TILTH_DEBUG"):
            traceback.print_exc()
        return _tell(f"unexpected {type(error).__name__}: {error}; set TILTH_DEBUG=1 to see where, and report it")


def _tell(message: str) -> int:
    click.echo(f"error: {message}", err=True)
    return 1


if __name__ == "__main__":
    main()
