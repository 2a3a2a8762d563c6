"""Moving in from W&B's folders. The logs are written here, record by record, in the framing and the field numbers of its client."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import polars as pl
import pytest

from tilth.cli.moving.wandb_log import BLOCK, read_log


def varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return out + bytes((number,))


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def item(key: str, value: object) -> bytes:
    return field(1, key) + field(16, json.dumps(value))


def history(step: int, **values: object) -> bytes:
    rows = {**values, "_step": step, "_timestamp": 1_700_000_000.5 + step}
    return field(2, b"".join(field(1, item(key, value)) for key, value in rows.items()))


def run_record(run_id: str = "ab12cd34", project: str = "flights") -> bytes:
    config = field(1, item("lr", 0.1)) + field(1, item("model", {"depth": 3}))
    git = field(1, "git@example.test:a/b.git") + field(2, "c" * 40)
    facts = (
        field(1, run_id)
        + field(2, "team")
        + field(3, project)
        + field(4, config)
        + field(8, "brave-otter-1")
        + field(9, "a note")
    )
    return field(17, facts + field(10, "baseline") + field(17, field(1, 1_700_000_000)) + field(21, git))


class Log:
    """Writes frames as the client does: blocks of 32 KiB, long records in parts."""

    def __init__(self) -> None:
        self.data = b":W&B\xe1\xbe\x00"

    def add(self, record: bytes) -> Log:
        first = True
        while True:
            left = BLOCK - len(self.data) % BLOCK
            if left < 7:
                self.data += bytes(left)
                left = BLOCK
            part, record = record[: left - 7], record[left - 7 :]
            kind = (1 if not record else 2) if first else (4 if not record else 3)
            checksum = zlib.crc32(part, zlib.crc32(bytes((kind,))))
            self.data += struct.pack("<IHB", checksum, len(part), kind) + part
            first = False
            if not record:
                return self


@pytest.fixture
def offline_run(tmp_path: Path) -> Path:
    at = tmp_path / "wandb" / "offline-run-20231114_221320-ab12cd34"
    (at / "files" / "media" / "images").mkdir(parents=True)
    log = Log().add(field(1, 1) + run_record())
    for step in range(3000):
        values = {
            "loss": 1 / (step + 1),
            "nested": {"a": step},
            "image": {"_type": "image-file", "path": "x.png"},
            "text": "t" * 20,
        }
        log.add(field(1, step + 2) + history(step, **values))
    log.add(field(3, field(1, item("best", 0.9)) + field(1, item("verdict", "good")) + field(1, item("loss", 0.1))))
    log.add(field(7, field(2, field(1, 1_700_000_010)) + field(3, item("cpu", 12.5))))
    log.add(field(18, field(1, 0) + field(2, 60)))
    (at / "run-ab12cd34.wandb").write_bytes(log.data)
    (at / "files" / "output.log").write_text("epoch 1\n")
    (at / "files" / "media" / "images" / "x.png").write_bytes(b"png")
    (at / "files" / "wandb-metadata.json").write_text(
        json.dumps({"program": "train.py", "python": "3.11.2", "args": ["--lr", "0.1"]})
    )
    (tmp_path / "wandb" / "latest-run").symlink_to(at.name)
    return at


def only_run(installation) -> dict:
    ids = installation.client.post("/api/v1/p/default/runs/bulk", json={"do": "archive", "filter": "", "dry_run": True}).json()[
        "runs"
    ]
    assert len(ids) == 1
    return installation.client.get(f"/api/v1/p/default/runs/{ids[0]}").json()


def test_an_offline_run_comes_with_its_whole_history(offline_run, tilth, installation):
    result = tilth("import", "wandb", str(offline_run.parent), "--json")
    assert result.exit_code == 0, result.output
    run = only_run(installation)
    facts, metrics = run["run"], {metric["key"]: metric for metric in run["metrics"]}
    assert (facts["name"], facts["experiment"], facts["status"], facts["notes"]) == (
        "brave-otter-1",
        "flights",
        "finished",
        "a note",
    )
    assert facts["started"] == 1_700_000_000_000
    assert run["params"] == {"lr": "0.1", "model.depth": "3"}
    assert {key: metrics[key]["count"] for key in metrics} == {"loss": 3000, "nested.a": 3000, "best": 1, "system/cpu": 1}
    assert metrics["loss"]["ts"] == 1_700_002_999_500 + 0
    assert run["tags"]["wandb.id"] == "ab12cd34"
    assert run["tags"]["wandb.tags"] == "baseline"
    assert run["tags"]["summary.verdict"] == "good"
    assert run["environment"]["git"]["commit"] == "c" * 40
    files = installation.client.get(f"/api/v1/p/default/runs/{facts['id']}/artifacts?recursive=true").json()["files"]
    assert {file["path"] for file in files if not file["is_dir"]} == {"media/images/x.png", "output.log", "wandb-metadata.json"}
    assert tilth("import", "wandb", str(offline_run.parent)).exit_code == 0
    assert only_run(installation)["run"]["id"] == facts["id"]


def test_a_log_that_breaks_off_gives_what_is_whole(offline_run):
    path = offline_run / "run-ab12cd34.wandb"
    path.write_bytes(path.read_bytes()[:100_000])
    log = read_log(path)
    assert log.torn
    assert 100 < len(log.history) < 3000
    assert log.exit_code is None


def test_a_record_longer_than_a_block_is_read_whole(tmp_path):
    path = tmp_path / "run-x.wandb"
    path.write_bytes(Log().add(run_record()).add(history(0, long="y" * 100_000)).add(history(1, a=1)).data)
    log = read_log(path)
    assert [row["_step"] for row in log.history] == [0, 1]
    assert len(log.history[0]["long"]) == 100_000


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_export_made_by_the_api_comes_with_history_config_and_summary(form, tmp_path, tilth, installation):
    at = tmp_path / "exported" / "run1"
    at.mkdir(parents=True)
    rows = [{"_step": step, "_timestamp": 1_700_000_000.0 + step, "auc": 0.5 + step / 10} for step in range(3)]
    if form == "jsonl":
        (at / "history.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    elif form == "csv":
        pl.DataFrame(rows).write_csv(at / "history.csv")
    else:
        pl.DataFrame(rows).write_parquet(at / "history.parquet")
    (at / "config.yaml").write_text("lr:\n  desc: null\n  value: 0.01\n_wandb:\n  value: {}\n")
    (at / "summary.json").write_text('{"auc": 0.7, "_runtime": 60}')
    (at / "run.json").write_text(
        '{"id": "zz", "name": "calm-hill", "state": "crashed", "project": "churn", "created_at": "2023-11-14T22:13:20"}'
    )
    (at / "model.bin").write_bytes(b"weights")
    result = tilth("import", "wandb", str(tmp_path / "exported"), "--json")
    assert result.exit_code == 0, result.output
    run = only_run(installation)
    assert (run["run"]["name"], run["run"]["experiment"], run["run"]["status"]) == ("calm-hill", "churn", "lost")
    assert run["run"]["started"] == 1_700_000_000_000
    assert run["params"] == {"lr": "0.01"}
    assert [(metric["key"], metric["count"], metric["value"]) for metric in run["metrics"]] == [("auc", 3, 0.7)]


def test_a_folder_without_runs_is_told_in_a_sentence(tmp_path, tilth):
    result = tilth("import", "wandb", str(tmp_path))
    assert result.exit_code == 1
    assert "holds no runs of W&B" in str(result.exception)
