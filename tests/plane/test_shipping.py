"""From segments to Parquet files: every acknowledged prediction once, whatever is killed in between; redaction, sampling, joining."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import Invalid
from tilth.core.hashing import FileEntry, Manifest, content_address
from tilth.core.ids import new_id
from tilth.plane.shipping.aside import Aside
from tilth.plane.shipping.control import Control
from tilth.plane.shipping.joining import join_next
from tilth.plane.shipping.keeping import is_kept
from tilth.plane.shipping.segments import close_left_ones, closed_segments
from tilth.plane.shipping.shipper import TRIES, Shipper
from tilth.wire import predictions
from tilth.wire.models import ModelDocument
from tilth.wire.plane import PREDICTIONS_FOLDER, REFUSED_FOLDER, STATE_PATH, PlaneState
from tilth.wire.predictions import HEAD, MAGIC, PredictionFrame
from tilth.wire.shipping import LogPolicy
from tilth.wire.signature import Column, Signature, Tensor

NOON = 1_772_366_400_000
"""2026-03-01 12:00 UTC."""
COLUMNS = Signature(
    inputs=(
        Column("origin", "string", categories=("EWR", "JFK")),
        Column("hour", "long"),
        Column("wind", "double", nullable=True),
    ),
    outputs=(Column("late", "double"),),
)
TENSORS = Signature(
    tensors=(Tensor("image", "float32", (-1, 2, 2)),),
    output_tensors=(Tensor("scores", "float32", (-1, 3)), Tensor("label", "int64", (-1,))),
)

SHIP = """
from pathlib import Path
from tilth.plane.shipping.aside import Aside
from tilth.plane.shipping.control import Control
from tilth.plane.shipping.shipper import Shipper
home = Path({home!r})
Shipper(home, Control(home), Aside(home)).ship_next()
"""


class Deployed:
    """A deployment of one version in an installation, and segments as model servers would write them."""

    def __init__(self, installation: object, name: str, signature: Signature) -> None:
        self.client: httpx.Client = installation.client  # type: ignore[attr-defined]
        self.home: Path = installation.home  # type: ignore[attr-defined]
        self.url: str = installation.url  # type: ignore[attr-defined]
        self.name = name
        self._register(signature)
        self.ask(f"/api/v1/p/default/deployments/{name}", "PUT", {"model": name})
        self.id = self.ask(f"/api/v1/p/default/deployments/{name}")["deployment"]["id"]
        state = self.home / STATE_PATH
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_bytes(msgspec.json.encode(PlaneState(1, 0, self.url, (), ())))
        self.folder = self.home / PREDICTIONS_FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)

    def _register(self, signature: Signature) -> None:
        document = ModelDocument(flavour="sklearn", signature=signature, method="predict", model_path="model.pkl")
        contents = {"MLmodel": b"flavors: {sklearn: {}}", "model.pkl": b"x", "tilth.json": msgspec.json.encode(document)}
        made = self.ask("/api/v1/p/default/logged-models", "POST", {"name": self.name})
        where = f"/api/v1/p/default/logged-models/{made['id']}"
        for path, data in contents.items():
            self.client.put(f"{where}/files/{path}", content=data).raise_for_status()
        digest = Manifest.of(FileEntry(path, content_address(data), len(data)) for path, data in contents.items()).digest
        self.ask(f"{where}/finalize", "POST", {"manifest_digest": digest})
        self.ask("/api/v1/p/default/models", "POST", {"name": self.name}, fine=(201, 409))
        self.ask(f"/api/v1/p/default/models/{self.name}/versions", "POST", {"logged_model_id": made["id"]})

    def ask(self, path: str, method: str = "GET", body: object = None, fine: tuple[int, ...] = (200, 201)) -> dict:  # type: ignore[type-arg]
        answer = self.client.request(method, path, json=body)
        assert answer.status_code in fine, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def frame(self, body: object, answer: object, rows: int = 1, **facts: object) -> PredictionFrame:
        given = {"moment": NOON, "request_id": "order-7", "latency_us": 1500, **facts}
        return PredictionFrame(
            prediction_id=new_id(),
            deployment_id=self.id,
            version=f"{self.name}/1",
            content_type="application/json",
            body=msgspec.json.encode(body),
            answer=msgspec.json.encode({"predictions": answer}),
            rows=rows,
            **given,  # type: ignore[arg-type]
        )

    def flight(self, hour: int = 5, **facts: object) -> PredictionFrame:
        return self.frame({"dataframe_records": [{"origin": "JFK", "hour": hour, "wind": None}]}, [hour / 100], **facts)

    def segment(self, *frames: PredictionFrame, torn: bytes = b"", suffix: str = ".closed") -> Path:
        path = self.folder / f"w0-{new_id()}{suffix}"
        path.write_bytes(b"".join(map(predictions.encode, frames)) + torn)
        return path

    def ship(self, shipper: Shipper | None = None) -> Shipper:
        """By one that has shipped before, if it is given."""
        shipper = shipper or Shipper(self.home, Control(self.home), Aside(self.home))
        while shipper.ship_next():
            pass
        return shipper

    def files(self, shadow: bool = False) -> list[dict]:  # type: ignore[type-arg]
        where = f"/api/v1/p/default/deployments/{self.name}/predictions/files?shadow={str(shadow).lower()}"
        return self.ask(where)["files"]  # type: ignore[no-any-return]

    def kept(self, shadow: bool = False) -> pl.DataFrame:
        """Every row, in the order of prediction and row."""
        base = f"/api/v1/p/default/deployments/{self.name}/predictions/files"
        frames = [pl.read_parquet(io.BytesIO(self.client.get(f"{base}/{file['id']}").content)) for file in self.files(shadow)]
        return pl.concat(frames, how="diagonal").sort("prediction_id", "row") if frames else pl.DataFrame()


@pytest.fixture(scope="module")
def deploy(shared_installation: object) -> Callable[..., Deployed]:
    return lambda name, signature=COLUMNS: Deployed(shared_installation, f"shipped-{name}", signature)


def test_rows_stand_in_files_of_their_day_as_they_were_asked_and_answered(deploy: Callable[..., Deployed]) -> None:
    place = deploy("days")
    records = [{"origin": "JFK", "hour": 5, "wind": 1.5}, {"origin": "EWR", "hour": 6, "wind": None}]
    two = place.frame({"dataframe_records": records}, [0.25, 0.5], 2, route_key="anna")
    split = place.frame({"dataframe_split": {"columns": ["wind", "hour", "origin"], "data": [[2.0, 7, "EWR"]]}}, [0.75])
    place.segment(two, split, place.flight(moment=NOON + 86_400_000))
    shipper = place.ship()
    assert (shipper.shipped, shipper.undecoded, shipper.dropped) == (4, 0, 0)
    assert list(place.folder.glob("*.closed")) == []
    assert [(file["day"], file["rows"]) for file in place.files()] == [("2026-03-02", 1), ("2026-03-01", 3)]
    kept = place.kept()
    assert kept["in_origin"].to_list() == ["JFK", "EWR", "EWR", "JFK"]
    assert kept["in_hour"].to_list() == [5, 6, 7, 5]
    assert kept["in_wind"].to_list() == [1.5, None, 2.0, None]
    assert kept["out_late"].to_list() == [0.25, 0.5, 0.75, 0.05]
    assert kept["row"].to_list() == [0, 1, 0, 0]
    assert kept["at"].dt.timestamp("ms").to_list()[:3] == [NOON] * 3
    assert kept["deployment"].unique().to_list() == [place.name]
    assert (kept["version"].unique().to_list(), kept["model"].unique().to_list()) == ([1], [place.name])
    assert kept["latency_us"].to_list() == [1500] * 4
    assert [bool(key) for key in kept["route_key_hash"]] == [True, True, False, False]
    one = place.ask(f"/api/v1/p/default/deployments/{place.name}/predictions/{two.prediction_id}.1")
    assert [row["inputs"]["hour"] for row in one["rows"]] == [5, 6]
    assert one["rows"][0]["latency_ms"] == 1.5


def test_tensors_stand_as_lists_and_files_of_other_columns_are_others(deploy: Callable[..., Deployed]) -> None:
    place = deploy("tensors", TENSORS)
    body = {"inputs": {"image": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}}
    answer = {"scores": [[0.1, 0.2, 0.7], [1, 0, 0]], "label": [2, 0]}
    place.segment(place.frame(body, answer, 2))
    place.ship()
    kept = place.kept()
    assert kept["in_image"].to_list() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert kept["out_label"].to_list() == [2, 0]
    assert kept.schema["in_image"] == pl.List(pl.List(pl.Float32))


def test_one_request_of_very_many_rows_holds_up_nobody(deploy: Callable[..., Deployed]) -> None:
    place = deploy("giant")
    rows = 100_000
    columns = {"origin": ["JFK"] * rows, "hour": [5] * rows, "wind": [None] * rows}
    place.segment(place.frame({"inputs": columns}, [0.25] * rows, rows))
    assert place.ship().shipped == rows
    assert list(place.folder.glob("*.closed")) == []


def test_a_segment_found_again_is_deleted_and_brings_nothing_twice(deploy: Callable[..., Deployed]) -> None:
    place = deploy("again")
    path = place.segment(place.flight(), place.flight())
    content = path.read_bytes()
    place.ship()
    path.write_bytes(content)
    fresh = place.segment(place.flight())
    place.ship()
    assert not path.exists()
    assert not fresh.exists()
    assert len(place.kept()) == 3


@pytest.mark.parametrize("point", ["predictions_uploaded", "predictions_shipped", "segment_deleted"])
def test_a_shipper_that_is_killed_loses_and_doubles_nothing(deploy: Callable[..., Deployed], point: str) -> None:
    place = deploy(f"kill-{point.replace('_', '-')}")
    frames = [place.flight(hour) for hour in range(6)]
    place.segment(*frames[:3])
    place.segment(*frames[3:])
    code = SHIP.format(home=str(place.home))
    killed = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TILTH_KILL_AT": point}, capture_output=True, check=False
    )
    assert killed.returncode == -9, killed.stderr
    place.ship()
    kept = place.kept()
    assert kept["prediction_id"].to_list() == sorted(frame.prediction_id for frame in frames)
    assert closed_segments(place.folder) == []


def test_a_torn_tail_is_told_and_whole_frames_before_it_are_kept(deploy: Callable[..., Deployed]) -> None:
    place = deploy("torn")
    place.segment(place.flight(), torn=b"TPF1half a frame")
    assert place.ship().torn_bytes == 16
    assert len(place.kept()) == 1


def test_what_cannot_be_read_is_kept_without_values_and_what_belongs_to_nothing_is_dropped(
    deploy: Callable[..., Deployed],
) -> None:
    place = deploy("odd")
    odd = place.frame({"instances": [["not", "what", "was", "said"]]}, [0.5])
    foreign = msgspec.structs.replace(place.flight(), deployment_id=new_id())
    gone = msgspec.structs.replace(place.flight(), version=f"{place.name}/99")
    place.segment(place.flight(), odd, foreign, gone)
    shipper = place.ship()
    assert (shipper.shipped, shipper.undecoded, shipper.dropped) == (2, 1, 2)
    kept = place.kept()
    assert sorted(kept["in_hour"].to_list(), key=str) == [5, None]
    assert len(place.files()) == 2


def test_shadows_stand_apart(deploy: Callable[..., Deployed]) -> None:
    place = deploy("apart")
    given = place.flight()
    place.segment(given, msgspec.structs.replace(given, shadow=True, answer=b'{"predictions": [0.9]}'))
    place.ship()
    assert place.kept()["out_late"].to_list() == [0.05]
    assert place.kept(shadow=True)["out_late"].to_list() == [0.9]
    detail = place.ask(f"/api/v1/p/default/deployments/{place.name}/predictions/{given.prediction_id}")
    assert [row["outputs"]["late"] for row in (*detail["rows"], *detail["shadows"])] == [0.05, 0.9]


def test_redacted_fields_are_hashed_under_a_key_of_the_home_or_not_written_at_all(deploy: Callable[..., Deployed]) -> None:
    place = deploy("redacted")
    policy = {"redact": {"origin": "hash", "wind": "drop", "request_id": "hash"}, "keep_days": 7}
    settings = place.ask(f"/api/v1/p/default/deployments/{place.name}/predictions/policy", "PUT", policy)
    assert (settings["keep_predictions_days"], settings["redact"]["wind"]) == (7, "drop")
    place.segment(place.flight(), place.flight())
    place.ship()
    kept = place.kept()
    assert "in_wind" not in kept.columns
    [hashed] = kept["in_origin"].unique().to_list()
    assert len(hashed) == 32
    assert "JFK" not in hashed
    assert "order-7" not in kept["request_id"].to_list()
    assert kept["in_hour"].to_list() == [5, 5]
    generations = place.ask(f"/api/v1/p/default/deployments/{place.name}")["generations"]
    assert generations[0]["cause"] == "settings"


def test_what_was_answered_after_a_change_of_what_is_kept_is_kept_as_it_says(deploy: Callable[..., Deployed]) -> None:
    place = deploy("changed")
    place.segment(place.flight())
    shipper = place.ship()
    place.ask(f"/api/v1/p/default/deployments/{place.name}/predictions/policy", "PUT", {"redact": {"origin": "drop"}})
    place.segment(place.flight(hour=6))
    place.ship(shipper)
    assert place.kept()["in_origin"].to_list() == ["JFK", None]


def test_a_sample_says_how_many_each_row_stands_for(deploy: Callable[..., Deployed]) -> None:
    place = deploy("sampled")
    place.ask(f"/api/v1/p/default/deployments/{place.name}/predictions/policy", "PUT", {"sample": 2500})
    place.segment(*[place.flight() for _ in range(400)])
    place.ship()
    kept = place.kept()
    assert 50 < len(kept) < 150
    assert kept["sample_weight"].unique().to_list() == [4.0]


def test_small_files_of_a_day_become_one_with_the_same_rows(deploy: Callable[..., Deployed]) -> None:
    place = deploy("joined")
    for hour in range(5):
        place.segment(place.flight(hour))
        place.ship()
    before = place.kept()
    assert len(place.files()) == 5
    control = Control(place.home)
    while join_next(control):
        pass
    assert len(place.files()) == 1
    after = place.kept()
    assert after.equals(before)


def refuse(place: Deployed) -> Path:
    """A segment that control does not take: a moment beyond what is one."""
    return place.segment(place.flight(moment=1 << 60))


def ship_all(place: Deployed) -> int:
    """Until nothing waits; how often a segment was refused and left for another try."""
    shipper = Shipper(place.home, Control(place.home), Aside(place.home))
    refusals = 0
    while closed_segments(place.folder):
        try:
            shipper.ship_next()
        except (Invalid, ValueError):
            refusals += 1
    return refusals


def test_a_segment_that_is_refused_again_and_again_is_set_aside_and_the_later_ones_come_through(
    deploy: Callable[..., Deployed],
) -> None:
    place = deploy("refused")
    bad, good = refuse(place), place.segment(place.flight())
    content = bad.read_bytes()
    refusals = ship_all(place)
    assert refusals == TRIES
    assert not good.exists()
    assert len(place.kept()) == 1
    [noted] = [each for each in Aside(place.home).segments() if place.id in each.deployment_ids]
    assert (noted.size, noted.id) == (len(content), bad.stem.rpartition("-")[2])
    assert (place.home / REFUSED_FOLDER / bad.name).read_bytes() == content
    # Whoever mended the reason has it tried again.
    assert place.ask("/api/v1/predictions/refused/retry", "POST")["segments"] >= 1
    assert bad.read_bytes() == content
    bad.unlink()


def test_a_segment_that_cannot_be_read_is_set_aside(deploy: Callable[..., Deployed]) -> None:
    place = deploy("unreadable")
    whole = predictions.encode(place.flight())
    payload = whole[HEAD.size :].replace(place.name.encode(), b"\xff" * len(place.name))
    bad = place.segment()
    bad.write_bytes(HEAD.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload)
    good = place.segment(place.flight())
    ship_all(place)
    assert not bad.exists()
    assert not good.exists()
    aside = place.home / REFUSED_FOLDER / bad.name
    assert aside.exists()
    aside.unlink()


def test_control_that_is_away_leaves_everything_where_it_is(deploy: Callable[..., Deployed]) -> None:
    place = deploy("away")
    path = place.segment(place.flight())
    state = place.home / STATE_PATH
    known = state.read_bytes()
    state.write_bytes(msgspec.json.encode(PlaneState(1, 0, "http://127.0.0.1:9", (), ())))
    with pytest.raises(Exception, match="is the control process up"):
        place.ship()
    assert path.exists()
    state.write_bytes(known)
    place.ship()
    assert len(place.kept()) == 1


def test_a_segment_whose_writer_is_gone_is_closed(tmp_path: Path) -> None:
    left = tmp_path / f"w7-{new_id()}.log"
    left.write_bytes(b"")
    assert close_left_ones(tmp_path) == 0  # its writer may just have opened it
    os.utime(left, (1, 1))
    assert close_left_ones(tmp_path) == 1
    assert [segment.size for segment in closed_segments(tmp_path)] == [0]


def test_who_has_no_business_with_predictions_gets_none(shared_installation: object, deploy: Callable[..., Deployed]) -> None:
    place = deploy("secret")
    place.segment(place.flight())
    place.ship()
    file = place.files()[0]["id"]
    viewer = shared_installation.as_(shared_installation.member("shipping-viewer", "viewer"))  # type: ignore[attr-defined]
    base = f"/api/v1/p/default/deployments/{place.name}/predictions"
    for path in (base, f"{base}/files", f"{base}/files/{file}", f"{base}/{new_id()}"):
        assert viewer.get(path).status_code == 403
    assert place.client.get("/api/v1/plane/predictions/compaction").status_code == 403
    other = deploy("other")
    assert other.client.get(f"/api/v1/p/default/deployments/{other.name}/predictions/files/{file}").status_code == 404


@given(st.lists(st.uuids().map(lambda id_: id_.hex), max_size=50), st.integers(1, 10_000), st.integers(1, 10_000))
def test_a_larger_sample_holds_the_smaller_one(ids: list[str], one: int, other: int) -> None:
    small, large = sorted((one, other))
    kept = {id_ for id_ in ids if is_kept(id_, LogPolicy(sample=small))}
    assert kept <= {id_ for id_ in ids if is_kept(id_, LogPolicy(sample=large))}
