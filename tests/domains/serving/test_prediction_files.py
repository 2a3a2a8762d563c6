"""The table of shipped predictions: whole shipments or none, joining, keeping to time, who sees what."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert
from tests.domains.serving.conftest import Workbench

from tilth.backends.sql import Database, Tx, blob_use
from tilth.core.clock import DAY, Millis, now
from tilth.core.errors import Conflict
from tilth.core.ids import ProjectId, new_id
from tilth.domains.models import actions as models
from tilth.domains.serving import actions as serving
from tilth.domains.serving.actions import predictions as actions
from tilth.domains.serving.queries import deployments, shadows
from tilth.domains.serving.queries import predictions as queries
from tilth.domains.serving.rules.prediction_files import TARGET_ROWS, TIER, to_join
from tilth.domains.serving.rules.views import unkept
from tilth.domains.serving.tables import scored_prediction
from tilth.domains.serving.types import Deployment
from tilth.domains.serving.types.predictions import FilesReplaced, PredictionFile, ShadowServes, UnknownShadow
from tilth.wire.serving import DeploymentSettings
from tilth.wire.shipping import Compacted, RefusedSegment, Shipment, ShippedFile, ShippedSegment

DAY_OF_TEST = "2026-03-01"
MOMENT = 1_772_323_200_000


@pytest.fixture
def deployed(either_db: Database) -> Deployment:
    """A deployment in a project of its own."""
    id_, project = new_id(), new_id()
    row = {
        "id": id_,
        "project_id": project,
        "name": "frost",
        "model_id": new_id(),
        "alias": None,
        "version": 1,
        "generation": 1,
        "routes": [],
        "settings": msgspec.to_builtins(DeploymentSettings(keep_predictions_days=10)),
        "salt": id_,
        "problem": "",
        "created": 0,
        "updated": 0,
        "changed_by_id": "a",
        "changed_by_name": "Anna",
        "deleted_at": None,
    }
    either_db.write_blocking(lambda tx: deployments.insert_deployment(tx, row))
    return either_db.read_blocking(lambda tx: deployments.deployment_by_name(tx, project, "frost"))


def a_file(deployment_id: str, *, first: int = MOMENT, rows: int = 5, seed: str = "a", **given: object) -> ShippedFile:
    facts = {"day": DAY_OF_TEST, "versions": ("frost/1",), "columns": "c" * 64, "size": 100, **given}
    return ShippedFile(
        deployment_id=deployment_id,
        digest=(seed * 64)[:64],
        rows=rows,
        first=first,
        last=first + 10,
        min_id="0" * 31 + "1",
        max_id="0" * 31 + "9",
        **facts,  # type: ignore[arg-type]
    )


def between(db: Database, found: Deployment, since: int = 0, until: int = 1 << 53) -> list[PredictionFile]:
    return db.read_blocking(
        lambda tx: queries.files_between(tx, found.project_id, found.id, since=since, until=until)  # type: ignore[arg-type]
    )


def test_a_shipment_counts_once_however_often_it_comes(either_db: Database, deployed: Deployment) -> None:
    segment = new_id()
    shipment = Shipment((ShippedSegment(segment, 3),), (a_file(deployed.id),))
    assert either_db.write_blocking(lambda tx: actions.ship(tx, shipment)) == []
    assert either_db.write_blocking(lambda tx: actions.ship(tx, shipment)) == [segment]
    [file] = between(either_db, deployed)
    assert (file.rows, file.versions, file.day) == (5, ("frost/1",), DAY_OF_TEST)
    claimed = either_db.read_blocking(lambda tx: blob_use.bytes_of(tx, ProjectId(deployed.project_id)))
    assert claimed == 100


def test_a_shipment_with_one_known_segment_brings_nothing_new(either_db: Database, deployed: Deployment) -> None:
    old, fresh = new_id(), new_id()
    either_db.write_blocking(lambda tx: actions.ship(tx, Shipment((ShippedSegment(old, 1),))))
    both = Shipment((ShippedSegment(old, 1), ShippedSegment(fresh, 1)), (a_file(deployed.id),))
    assert either_db.write_blocking(lambda tx: actions.ship(tx, both)) == [old]
    assert between(either_db, deployed) == []
    assert either_db.read_blocking(lambda tx: queries.known_segments_across_projects(tx, [fresh, old])) == [old]


def test_files_are_found_by_time_page_by_page(either_db: Database, deployed: Deployment) -> None:
    files = tuple(a_file(deployed.id, first=MOMENT + 100 * at, seed=f"{at}") for at in range(5))
    either_db.write_blocking(lambda tx: actions.ship(tx, Shipment((ShippedSegment(new_id(), 5),), files)))
    firsts = [file.first - MOMENT for file in between(either_db, deployed)]
    assert firsts == [400, 300, 200, 100, 0]
    assert [file.first - MOMENT for file in between(either_db, deployed, MOMENT + 105, MOMENT + 301)] == [300, 200, 100]

    def page(tx: Tx, before: tuple[int, str] | None) -> list[PredictionFile]:
        return queries.files_between(
            tx,
            deployed.project_id,
            deployed.id,
            since=0,
            until=1 << 53,
            before=before,
            limit=2,  # type: ignore[arg-type]
        )

    first = either_db.read_blocking(lambda tx: page(tx, None))
    second = either_db.read_blocking(lambda tx: page(tx, (first[-1].last, first[-1].id)))
    assert [file.first - MOMENT for file in (*first, *second)] == [400, 300, 200, 100]


def test_files_are_found_by_the_ids_within_them_and_never_in_another_project(either_db: Database, deployed: Deployment) -> None:
    either_db.write_blocking(lambda tx: actions.ship(tx, Shipment((ShippedSegment(new_id(), 5),), (a_file(deployed.id),))))
    inside, outside = "0" * 31 + "5", "0" * 31 + "a"

    def found(project: str, id_: str) -> int:
        return len(either_db.read_blocking(lambda tx: queries.files_with(tx, project, deployed.id, id_)))

    assert (found(deployed.project_id, inside), found(deployed.project_id, outside), found(new_id(), inside)) == (1, 0, 0)


def test_small_files_become_one_and_their_bytes_are_let_go(either_db: Database, deployed: Deployment) -> None:
    files = tuple(a_file(deployed.id, first=MOMENT + at, seed=f"{at}") for at in range(TIER))
    either_db.write_blocking(lambda tx: actions.ship(tx, Shipment((ShippedSegment(new_id(), 5),), files)))
    small = between(either_db, deployed)
    joined = to_join(small, DAY_OF_TEST)
    assert sorted(file.id for file in joined) == sorted(file.id for file in small)
    into = Compacted(tuple(file.id for file in joined), a_file(deployed.id, rows=5 * TIER, seed="f"))
    either_db.write_blocking(lambda tx: actions.replace_files(tx, into))
    [whole] = between(either_db, deployed)
    assert whole.rows == 5 * TIER
    assert either_db.read_blocking(lambda tx: blob_use.bytes_of(tx, ProjectId(deployed.project_id))) == whole.size
    with pytest.raises(FilesReplaced):
        either_db.write_blocking(lambda tx: actions.replace_files(tx, into))
    assert len(between(either_db, deployed)) == 1


def test_a_file_that_is_to_be_joined_is_found_without_writing(either_db: Database, deployed: Deployment) -> None:
    either_db.write_blocking(lambda tx: actions.ship(tx, Shipment((ShippedSegment(new_id(), 5),), (a_file(deployed.id),))))
    [file] = between(either_db, deployed)
    assert either_db.read_blocking(lambda tx: queries.files_by_ids_across_projects(tx, [file.id, new_id()])) == [file]


def test_files_go_when_their_time_is_over_and_the_trail_tells(either_db: Database, deployed: Deployment) -> None:
    today = now()
    old = a_file(deployed.id, first=today - 11 * DAY, seed="1")
    young = a_file(deployed.id, first=today - 9 * DAY, seed="2")
    either_db.write_blocking(lambda tx: actions.ship(tx, Shipment((ShippedSegment(new_id(), 5),), (old, young))))
    holding = either_db.read_blocking(queries.deployments_with_files_across_projects)
    assert deployed.id in [found.id for found in holding]
    assert either_db.write_blocking(lambda tx: actions.drop_expired(tx, deployed, today)) == 5
    assert either_db.write_blocking(lambda tx: actions.drop_expired(tx, deployed, today)) == 0
    assert [file.digest[0] for file in between(either_db, deployed)] == ["2"]


def test_crowded_days_are_found_over_all_projects(either_db: Database, deployed: Deployment) -> None:
    files = tuple(a_file(deployed.id, first=MOMENT + at, seed=f"{at}") for at in range(3))
    lone = a_file(deployed.id, day="2026-03-02", seed="e")
    big = a_file(deployed.id, rows=TARGET_ROWS, seed="d")
    either_db.write_blocking(lambda tx: actions.ship(tx, Shipment((ShippedSegment(new_id(), 5),), (*files, lone, big))))
    small = either_db.read_blocking(lambda tx: queries.small_files_across_projects(tx, TARGET_ROWS))
    mine = [file for file in small if file.deployment_id == deployed.id]
    assert [file.first - MOMENT for file in mine] == [0, 1, 2]


FILES = st.lists(st.integers(1, TARGET_ROWS - 1), max_size=40)


@given(FILES, st.booleans())
def test_what_is_joined_is_small_of_one_day_and_a_day_that_ended_becomes_few_files(sizes: list[int], ended: bool) -> None:
    files = [
        PredictionFile(
            f"{at:032x}",
            "p",
            "d",
            DAY_OF_TEST,
            "x",
            100,
            rows,
            at,
            at,
            "0",
            "1",
            "c",
            ("m/1",),
            False,
            0,  # type: ignore[arg-type]
        )
        for at, rows in enumerate(sizes)
    ]
    today = "2026-03-02" if ended else DAY_OF_TEST
    joined = to_join(files, today)
    assert len(joined) != 1
    assert sum(file.rows for file in joined[:-1]) <= 2 * TARGET_ROWS
    assert [file.first for file in joined] == sorted(file.first for file in joined)
    if ended and len(files) > 1 and files[0].rows + files[1].rows <= 2 * TARGET_ROWS:
        assert len(joined) >= 2
    if not ended and joined:
        assert len(joined) >= TIER or sum(file.rows for file in joined) > TARGET_ROWS


def test_labelled_rows_come_page_by_page_in_the_order_of_time(either_db: Database, deployed: Deployment) -> None:
    ids = [f"{at:032x}" for at in range(3)]
    rows = [
        {
            "deployment_id": deployed.id,
            "prediction_id": id_,
            "row": row,
            "project_id": deployed.project_id,
            "model": "frost",
            "version": 1,
            "at": MOMENT + at,
            "score": 0.5,
            "unit": id_,
            "join_key": None,
            "label": 1.0 if row == 0 else None,
            "label_at": MOMENT + 50,
        }
        for at, id_ in enumerate(ids)
        for row in range(2)
    ]
    either_db.write_blocking(lambda tx: tx.many(insert(scored_prediction), rows))

    def page(after: tuple[int, str, int] | None = None, since: int = 0) -> list[str]:
        found = either_db.read_blocking(
            lambda tx: queries.labelled_rows(
                tx, deployed.project_id, deployed.id, since=Millis(since), until=Millis(1 << 53), after=after
            )
        )
        return [row.prediction_id for row in found]

    assert page() == ids
    assert page(after=(MOMENT, ids[0], 0)) == ids[1:]
    assert page(since=MOMENT + 2) == ids[2:]


def test_a_shadow_is_told_to_its_process_with_its_files_and_ends_with_the_deployment(bench: Workbench) -> None:
    for seed in ("one", "two", "three"):
        bench.version("frost", seed)
    bench.do(serving.deploy, "frost", model="frost", version=1)
    bench.do(serving.start_shadow, "frost", 2)
    bench.do(serving.start_shadow, "frost", 2)
    bench.do(serving.start_shadow, "frost", 3)
    told = bench.db.read_blocking(shadows.plane_shadows_across_projects)
    [document] = told.deployments
    assert [version.key for version in document.versions] == ["frost/2", "frost/3"]
    assert all(version.files for version in document.versions)
    assert set(told.since) == {f"{document.id}/frost/2", f"{document.id}/frost/3"}
    with pytest.raises(ShadowServes):
        bench.do(serving.start_shadow, "frost", 1)
    with pytest.raises(Conflict, match="shadow of deployment"):
        bench.do(models.delete_version, "frost", 3)
    bench.do(serving.stop_shadow, "frost", 3)
    bench.do(models.delete_version, "frost", 3)
    with pytest.raises(UnknownShadow):
        bench.do(serving.stop_shadow, "frost", 3)
    bench.do(serving.undeploy, "frost")
    assert bench.db.read_blocking(shadows.plane_shadows_across_projects).deployments == ()
    bench.do(models.delete_version, "frost", 2)


def test_shadows_are_kept_by_both_databases(either_db: Database, deployed: Deployment) -> None:
    row = {
        "deployment_id": deployed.id,
        "model_id": deployed.model_id,
        "version": 2,
        "project_id": deployed.project_id,
        "logged_model_id": "m-1",
        "manifest_digest": "d",
        "started": MOMENT,
        "actor_id": "a",
        "actor_name": "Anna",
    }
    either_db.write_blocking(lambda tx: shadows.insert_shadow(tx, row))
    [shadow] = either_db.read_blocking(lambda tx: shadows.shadows_of(tx, deployed.project_id, deployed.id))
    assert (shadow.version, shadow.started, shadow.by) == (2, MOMENT, "Anna")
    assert either_db.read_blocking(lambda tx: shadows.shadows_of(tx, new_id(), deployed.id)) == []
    assert either_db.write_blocking(lambda tx: shadows.delete_shadows(tx, deployed.project_id, deployed.id, 3)) == 0
    assert either_db.write_blocking(lambda tx: shadows.delete_shadows(tx, deployed.project_id, deployed.id)) == 1


def test_what_is_not_kept_is_told_to_those_whose_predictions_it_holds() -> None:
    segment = RefusedSegment("a" * 32, 2_500_000, 0, "a moment beyond all years", ("d1", "d2"))
    assert unkept([segment], "d3", 0) == ""
    assert "kept aside: 1 (2.5 MB), because a moment beyond all years; `tilth predictions retry`" in unkept([segment], "d1", 0)
    assert unkept([], "d1", 1200) == "Answered since the model servers started, and not logged: 1,200; `tilth doctor` says why"
