"""The whole system on one page: what is built at start, from which settings, and who hears which event."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from tilth.app.documents import learn_documents
from tilth.app.gate import DatabaseGate
from tilth.app.settings import Settings
from tilth.backends.blobs import open_blobs
from tilth.backends.notify import Receivers
from tilth.backends.sealing import Sealer, open_sealer
from tilth.backends.sql import Database, Tx, open_database, outbox
from tilth.core.clock import Clock, now
from tilth.core.events import Subscriptions
from tilth.core.ids import ProjectId
from tilth.core.ports import Blobs
from tilth.domains.alerts import actions as alerts
from tilth.domains.alerts.jobs import WebhookSender
from tilth.domains.audit.jobs import Checkpoints
from tilth.domains.identity import queries as identity
from tilth.domains.identity.actions import Doorkeeper
from tilth.domains.identity.types import ProjectCreated
from tilth.domains.models.types import AliasMoved, ModelVersionRegistered, VersionApproved, VersionEvaluated, VersionRejected
from tilth.domains.serving import actions as serving
from tilth.domains.serving import queries as serving_queries
from tilth.domains.serving.jobs import PlanePublisher, PredictionReader, RolloutJudge, ShippingDesk, StatusReader
from tilth.domains.serving.jobs.trial import TrialDesk
from tilth.domains.serving.types import DeploymentChanged, RolloutEnded, RolloutStarted
from tilth.domains.tracking import actions as tracking
from tilth.domains.tracking.types import RunEnded
from tilth.wire.plane import PlaneToken

Told = (
    RunEnded
    | ModelVersionRegistered
    | VersionEvaluated
    | VersionApproved
    | VersionRejected
    | AliasMoved
    | DeploymentChanged
    | RolloutStarted
    | RolloutEnded
)
"""Events that webhooks tell of."""


@dataclass(frozen=True, slots=True)
class System:
    """Everything that lives as long as the control process."""

    settings: Settings
    clock: Clock
    database: Database
    blobs: Blobs
    gate: DatabaseGate
    doorkeeper: Doorkeeper
    dispatcher: outbox.Dispatcher
    publisher: PlanePublisher
    statuses: StatusReader
    rollouts: RolloutJudge
    predictions: PredictionReader
    shipping: ShippingDesk
    trials: TrialDesk
    checkpoints: Checkpoints
    sealer: Sealer
    receivers: Receivers
    webhooks: WebhookSender
    control_url: str
    serve_url: str

    @property
    def home(self) -> Path:
        return self.settings.home


def build(settings: Settings, *, control_url: str, serve_url: str, clock: Clock = now) -> System:
    """Opens the database and the blobs and connects the parts. The schema must be there already."""
    learn_documents()
    database = open_database(settings.database)
    blobs = open_blobs(settings.blobs_location or str(settings.home / "blobs"), clock=clock)
    statuses = StatusReader(settings.home, clock)
    sealer, receivers = open_sealer(settings.home), Receivers(settings.webhook_networks)
    trials = TrialDesk(serve_url, sealer, clock)
    return System(
        settings=settings,
        clock=clock,
        database=database,
        blobs=blobs,
        gate=DatabaseGate(database, clock, settings.requests_per_second),
        doorkeeper=Doorkeeper(database, settings.control_processes),
        dispatcher=outbox.Dispatcher(database, subscriptions(database), clock),
        publisher=PlanePublisher(database, settings.home, clock, control_url, tokens=lambda tx: plane_tokens(tx, clock, trials)),
        statuses=statuses,
        rollouts=RolloutJudge(database, statuses, clock),
        predictions=PredictionReader(database, blobs),
        shipping=ShippingDesk(settings.home, clock),
        trials=trials,
        checkpoints=Checkpoints(settings.home / "audit", clock),
        sealer=sealer,
        receivers=receivers,
        webhooks=WebhookSender(database, sealer, receivers, clock),
        control_url=control_url,
        serve_url=serve_url,
    )


def subscriptions(database: Database) -> Subscriptions:
    """Lower domains tell, upper ones listen; every subscriber may meet an event twice."""

    def give_default_experiment(event: ProjectCreated) -> None:
        database.write_blocking(lambda tx: tracking.create_default_experiment(tx, ProjectId(event.project_id)))

    def move_deployments(event: AliasMoved) -> None:
        database.write_blocking(lambda tx: serving.follow_alias(tx, event))

    def tell_webhooks(event: Told, key: str) -> None:
        told = event.to_payload()
        database.write_blocking(lambda tx: alerts.tell(tx, event.project_id, event.name, key, told))

    heard = Subscriptions()
    heard.on(ProjectCreated, give_default_experiment)
    heard.on(AliasMoved, move_deployments)
    for kind in get_args(Told):
        heard.on(kind, tell_webhooks)  # type: ignore[arg-type]  # the outbox hands over the key where it is asked for
    return heard


def plane_tokens(tx: Tx, clock: Clock, trials: TrialDesk) -> list[PlaneToken]:
    """The credentials that the model servers accept: those of people and programs, and that of the pages."""
    given = [
        PlaneToken(sha256=token.sha256, principal_id=token.principal_id, projects=token.projects, expires=token.expires)
        for token in identity.predict_tokens_across_projects(tx, clock())
    ]
    return [*given, *trials.tokens(serving_queries.projects_served_across_projects(tx))]
