"""Aliases move over the versions of a model; holds say who needs a version."""

from __future__ import annotations

from collections.abc import Mapping

from tilth.backends.sql import Tx, outbox
from tilth.core.actors import Actor
from tilth.core.clock import now
from tilth.core.errors import Conflict
from tilth.core.ids import ProjectId, new_id
from tilth.domains.audit.actions import record
from tilth.domains.models.actions.gates import admit_to_alias, check_reason
from tilth.domains.models.queries import registry
from tilth.domains.models.queries.registry import RegisteredModel
from tilth.domains.models.rules import naming
from tilth.domains.models.types import AliasMoved, UnknownAlias, VersionInUse


class AliasMovedMeanwhile(Conflict):
    """Somebody else moved the alias since the caller looked."""


def set_alias(
    tx: Tx,
    actor: Actor,
    project_id: ProjectId,
    name: str,
    alias: str,
    version: int,
    *,
    expected: int | None = None,
    override_reason: str | None = None,
) -> int | None:
    """Lets `alias` name `version`; the version it named before, None if it is new. Setting what is set changes nothing.

    expected: the version it must name now (0: none), else AliasMovedMeanwhile. override_reason: why an owner sets it in spite of
    gates and approvals. Raises UnknownModel, UnknownVersion, ReservedAlias, GateFailed, NotApproved, ReasonMissing.
    """
    naming.check_alias(alias)
    reason = check_reason(override_reason) if override_reason is not None else None
    model = registry.model_by_name(tx, project_id, name, lock=True)
    registry.version_of(tx, model, version)
    previous = registry.alias_version(tx, model, alias)
    if expected is not None and expected != (previous or 0):
        raise AliasMovedMeanwhile(
            f"alias {alias!r} of model {name!r} names {_named(previous)} by now, not {_named(expected or None)}; look again, then decide"
        )
    if previous != version:
        admit_to_alias(tx, actor, model, version, alias, reason)
        at = now()
        registry.put_alias(tx, model, alias, version, at)
        _moved(tx, actor, model, alias, previous, version, at)
    return previous


def remove_alias(tx: Tx, actor: Actor, project_id: ProjectId, name: str, alias: str) -> int:
    """The version it named. Raises UnknownModel, UnknownAlias, VersionInUse while a deployment follows it."""
    model = registry.model_by_name(tx, project_id, name, lock=True)
    previous = registry.alias_version(tx, model, alias)
    if previous is None:
        raise UnknownAlias(name, alias, list(registry.aliases_of(tx, model)))
    followers = [hold.label for hold in registry.holds_on(tx, model) if hold.alias == alias]
    if followers:
        raise VersionInUse(
            f"alias {alias!r} of model {name!r} is followed by {', '.join(followers[:5])}; "
            "deploy a fixed version there, or end it by `tilth deployment delete` first"
        )
    registry.delete_alias(tx, model, alias)
    _moved(tx, actor, model, alias, previous, None, now())
    return previous


def _moved(tx: Tx, actor: Actor, model: RegisteredModel, alias: str, previous: int | None, version: int | None, at: int) -> None:
    registry.insert_alias_move(
        tx,
        {
            "id": new_id(),
            "project_id": model.project_id,
            "model_id": model.id,
            "alias": alias,
            "previous": previous,
            "version": version,
            "moved": at,
            "actor_id": actor.id,
            "actor_name": actor.name,
        },
    )
    record(
        tx,
        actor,
        "model_alias.removed" if version is None else "model_alias.moved",
        project_id=model.project_id,
        thing=f"{model.name}@{alias}",
        detail={"from": previous, "to": version},
    )
    outbox.add(tx, AliasMoved(model.project_id, model.id, model.name, alias, version, previous, actor.name))


def hold_versions(
    tx: Tx, project_id: ProjectId, model_id: str, versions: Mapping[int, str | None], *, holder: str, label: str
) -> None:
    """`holder` (an id) needs these versions and no others from now on.

    versions: each with the alias that led to it, None for one named by itself. label: how a message names the holder, such as
    `deployment 'flights'`.
    """
    registry.delete_holds(tx, project_id, holder)
    for version, alias in versions.items():
        registry.put_hold(
            tx,
            {
                "holder": holder,
                "model_id": model_id,
                "version": version,
                "project_id": project_id,
                "label": label,
                "alias": alias,
            },
        )


def release_versions(tx: Tx, project_id: ProjectId, holder: str) -> None:
    """`holder` needs no version any more."""
    registry.delete_holds(tx, project_id, holder)


def _named(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
