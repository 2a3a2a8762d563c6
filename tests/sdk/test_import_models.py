"""Models that were made elsewhere: told apart, looked at, asked in a process of their own only when trusted, registered."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import tarfile
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import catboost
import joblib
import lightgbm
import mlflow.lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
import xgboost
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

import tilth
from tilth.cli.main import run
from tilth.core.errors import Conflict, Denied
from tilth.core.names import InvalidName
from tilth.flavours import UnusableExample
from tilth.sdk import importing
from tilth.sdk.importing import NotImportable
from tilth.sdk.importing.formats import found_at
from tilth.sdk.importing.pickle_look import dangerous, look_at
from tilth.sdk.importing.preparing import keep
from tilth.sdk.importing.running import prepare_apart
from tilth.sdk.importing.scanning import scan
from tilth.sdk.importing.types import RUNS_CODE
from tilth.sdk.models import NothingToLoad, fetch_model
from tilth.wire.registry import LoggedModelView


class Starts:
    """A pickle that starts a program when it is loaded, as an attacker would write it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, np.ndarray]:
    frame = pd.DataFrame(np.random.default_rng(21).normal(size=(200, 3)), columns=["wind", "rain", "fog"])
    return frame, (frame.wind + frame.rain > 0).to_numpy().astype(int)


@pytest.fixture(scope="module")
def made(table: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one file of each kind."""
    folder = tmp_path_factory.mktemp("elsewhere")
    frame, late = table
    xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(frame, late), 4).save_model(folder / "imported-xgb.ubj")
    lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(frame, late), 4).save_model(
        folder / "imported-lgb.txt"
    )
    cat = catboost.CatBoostClassifier(iterations=4, verbose=0, allow_writing_files=False).fit(frame, late)
    cat.save_model(str(folder / "imported-cat.cbm"))
    model = LogisticRegression().fit(frame, late)
    onnx.save(to_onnx(model, frame.to_numpy(np.float32)[:1]), folder / "imported-onnx.onnx")
    joblib.dump(model, folder / "imported-job.joblib", compress=3)
    (folder / "imported-pick.pkl").write_bytes(pickle.dumps(model))
    save_file({"weight": np.zeros((2, 3), dtype=np.float32)}, folder / "imported-weights.safetensors")
    frame.head(5).to_csv(folder / "rows.csv", index=False)
    return folder


@pytest.fixture
def here(live: Any) -> Any:
    tilth.init(url=live.url, token=live.token)
    return live


def stored(here: Any, logged_model_id: str) -> LoggedModelView:
    path = f"/api/v1/p/default/logged-models/{logged_model_id}"
    return tilth.sdk.connection.connection().http.call("GET", path, LoggedModelView)


@pytest.mark.parametrize(
    ("file", "format", "outputs"),
    [
        ("imported-xgb.ubj", "xgboost", 1),
        ("imported-lgb.txt", "lightgbm", 1),
        ("imported-cat.cbm", "catboost", 1),
        ("imported-onnx.onnx", "onnx", 1),
    ],
)
def test_formats_without_code_are_asked_at_once_and_answer_as_they_did(
    here: Any, made: Path, table: Any, file: str, format: str, outputs: int
) -> None:
    imported = tilth.import_model(made / file, example=made / "rows.csv")
    assert (imported.format, imported.verdict, imported.findings, imported.unservable) == (format, "clean", (), "")
    assert imported.model == file.partition(".")[0]
    given = tilth.load_model(f"{imported.model}/1").predict(table[0])
    expected = {
        "xgboost": lambda: xgboost.Booster(model_file=made / file).predict(xgboost.DMatrix(table[0])),
        "lightgbm": lambda: lightgbm.Booster(model_file=made / file).predict(table[0]),
        "catboost": lambda: catboost.CatBoostClassifier().load_model(str(made / file)).predict_proba(table[0])[:, 1],
        "onnx": lambda: joblib.load(made / "imported-job.joblib").predict_proba(table[0])[:, 1],
    }[format]()
    np.testing.assert_allclose(np.asarray(given), expected, atol=1e-6)
    provenance = stored(here, imported.id).provenance
    assert provenance is not None
    assert (provenance.source, provenance.runs_code, provenance.verdict) == (file, False, "clean")


def test_a_booster_that_knows_its_columns_needs_no_example(here: Any, made: Path) -> None:
    imported = tilth.import_model(made / "imported-lgb.txt", "imported-without-example")
    assert imported.document is not None
    assert [column.name for column in imported.document.signature.inputs] == ["wind", "rain", "fog"]


@pytest.mark.parametrize("file", ["imported-job.joblib", "imported-pick.pkl"])
def test_a_pickle_is_kept_and_not_run_and_nothing_serves_it(here: Any, made: Path, file: str) -> None:
    imported = tilth.import_model(made / file, example=made / "rows.csv")
    assert (imported.verdict, imported.document) == ("not-scannable", None)
    assert "imports it again with --trust" in imported.unservable
    with pytest.raises(Conflict, match="imports it again with --trust"):
        tilth.deploy(f"{imported.model}/{imported.version}", "imported-untrusted", wait=False)


def test_a_trusted_pickle_is_asked_in_a_process_of_its_own_and_stays_isolated(here: Any, made: Path) -> None:
    modules = set(sys.modules)
    imported = tilth.import_model(
        made / "imported-job.joblib", "imported-trusted", example=made / "rows.csv", trust=True, reason="we trained it in 2024"
    )
    assert imported.document is not None
    assert (imported.document.flavour, imported.document.isolated, imported.unservable) == ("sklearn", True, "")
    provenance = stored(here, imported.id).provenance
    assert provenance is not None
    assert (provenance.trust_reason, provenance.verdict) == ("we trained it in 2024", "not-scannable")
    assert provenance.trusted is not None
    with pytest.raises(NothingToLoad, match="not loaded into this process"):
        tilth.load_model("imported-trusted/1")
    assert not {name for name in set(sys.modules) - modules if name.startswith("sklearn.linear_model")}


def test_a_pickle_that_starts_a_program_is_flagged_and_starts_nothing(here: Any, tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Starts(tmp_path / "started")))
    imported = tilth.import_model(tmp_path / "evil.pkl", "imported-evil")
    assert imported.verdict == "flagged"
    assert any("posix.system" in finding for finding in imported.findings)
    assert not (tmp_path / "started").exists()
    assert imported.unservable


def test_what_is_hidden_between_the_arrays_of_a_joblib_file_is_flagged(tmp_path: Path) -> None:
    joblib.dump([np.arange(1000.0), Starts(tmp_path / "started")], tmp_path / "evil.joblib")
    seen = scan(found_at(tmp_path / "evil.joblib"))
    assert seen.verdict == "flagged"
    assert not (tmp_path / "started").exists()


def test_who_may_not_trust_runs_nothing(here: Any, tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Starts(tmp_path / "started")))
    root = tilth.sdk.connection.connection().http
    root.send("POST", "/api/v1/users", json.dumps({"name": "imported-dev"}).encode())
    root.send("PUT", "/api/v1/p/default/members/imported-dev", json.dumps({"role": "developer"}).encode())
    body = {"name": "imported-dev", "principal": "imported-dev", "scopes": ["read", "write"]}
    token = json.loads(root.send("POST", "/api/v1/tokens", json.dumps(body).encode()).content)["secret"]
    tilth.init(url=here.url, token=token)
    try:
        with pytest.raises(Denied):
            tilth.import_model(tmp_path / "evil.pkl", "imported-denied", trust=True)
    finally:
        tilth.init(url=here.url, token=here.token)
    assert not (tmp_path / "started").exists()


def test_a_trusted_model_that_ends_its_process_is_told_so_and_none_of_our_secrets_is_in_it(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TILTH_TOKEN", "tlt_secret")

    class Tells:
        def __reduce__(self) -> Any:
            return os.system, (f"env > {tmp_path / 'seen'}; kill -9 $PPID",)

    (tmp_path / "ends.pkl").write_bytes(pickle.dumps(Tells()))
    with pytest.raises(NotImportable, match="ended without a result: signal 9"):
        tilth.import_model(tmp_path / "ends.pkl", "imported-ends", trust=True)
    assert "TILTH_TOKEN" not in (tmp_path / "seen").read_text()


def test_a_class_of_the_program_that_wrote_a_pickle_is_named_with_what_to_do(here: Any, tmp_path: Path) -> None:
    (tmp_path / "gone.pkl").write_bytes(b"\x80\x02c__main__\nGoneNet\n)\x81.")
    with pytest.raises(NotImportable, match=r"holds a GoneNet .* put it into an installed package"):
        tilth.import_model(tmp_path / "gone.pkl", "imported-gone", trust=True)


def test_a_trusted_model_that_never_ends_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    class Hangs:
        def __reduce__(self) -> Any:
            return os.system, (f"sleep 600 & echo $! > {tmp_path / 'pid'}; wait",)

    (tmp_path / "hangs.pkl").write_bytes(pickle.dumps(Hangs()))
    with pytest.raises(NotImportable, match="it was still running after 15 s"):
        prepare_apart(found_at(tmp_path / "hangs.pkl"), tmp_path / "work", None, timeout_s=15)
    started = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    for _ in range(500):
        # A killed process is there until the kernel comes round to it.
        if not started.exists() or started.read_text().rpartition(") ")[2].startswith("Z"):
            return
        time.sleep(0.02)
    pytest.fail("what the model started still runs")


def test_weights_and_folders_of_hugging_face_are_kept_and_not_servable(here: Any, made: Path, tmp_path: Path) -> None:
    weights = tilth.import_model(made / "imported-weights.safetensors")
    assert (weights.verdict, weights.document) == ("clean", None)
    assert "PyTorch needs the class" in weights.unservable
    folder = tmp_path / "imported-bert"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert", "architectures": ["BertModel"]}')
    (folder / "model.safetensors").write_bytes((made / "imported-weights.safetensors").read_bytes())
    kept = tilth.import_model(folder)
    assert (kept.format, kept.verdict) == ("hugging-face", "clean")
    assert "transformers" in kept.unservable
    (folder / "modeling_bert.py").write_text("import os\n")
    code = tilth.import_model(folder, "imported-bert-code")
    assert (code.verdict, code.findings) == ("not-scannable", ("modeling_bert.py is Python code that came with it",))


def test_a_folder_of_mlflow_brings_its_own_example(here: Any, made: Path, table: Any, tmp_path: Path) -> None:
    booster = lightgbm.Booster(model_file=made / "imported-lgb.txt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.lightgbm.save_model(booster, tmp_path / "m", input_example=table[0].head(3), pip_requirements=["lightgbm"])
    with tarfile.open(tmp_path / "imported-mlflow.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "m", "m")
    imported = tilth.import_model(tmp_path / "imported-mlflow.tar.gz")
    assert (imported.model, imported.format, imported.unservable) == ("imported-mlflow", "lightgbm", "")
    np.testing.assert_allclose(tilth.load_model("imported-mlflow").predict(table[0]), booster.predict(table[0]), atol=1e-6)


def test_a_folder_of_another_tilth_waits_for_trust_that_may_come_later(
    here: Any, table: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, late = table
    tilth.flavours.save_model(LogisticRegression().fit(frame, late), tmp_path / "imported-tilth", example=frame.head())
    imported = tilth.import_model(tmp_path / "imported-tilth")
    assert imported.document is not None
    assert (imported.document.isolated, imported.document.compiled) == (True, ())
    assert f"tilth model trust {imported.id}" in imported.unservable
    target = tilth.sdk.connection.connection().target
    words = [
        "model",
        "trust",
        "imported-tilth/1",
        "--reason",
        "ours",
        "--url",
        target.url,
        "--token",
        target.token,
        "-p",
        "default",
    ]
    assert run(words) == 0
    assert capsys.readouterr().out == "imported-tilth/1 is trusted now\n"
    assert run([*words[:2], imported.id, *words[3:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unservable"] == ""


def test_scoring_with_what_may_not_run_says_why(here: Any, made: Path) -> None:
    imported = tilth.import_model(made / "imported-pick.pkl", "imported-unasked", example=made / "rows.csv")
    with pytest.raises(NothingToLoad, match="a maintainer who knows where it comes from imports it again"):
        fetch_model(f"imported-unasked/{imported.version}")


def test_rows_that_do_not_fit_are_refused_before_anything_is_registered(here: Any, made: Path) -> None:
    with pytest.raises(UnusableExample):
        tilth.import_model(made / "imported-onnx.onnx", "imported-misfit", example=np.zeros((2, 7)))
    with pytest.raises(NotImportable, match=r"give \.csv, \.parquet"):
        tilth.import_model(made / "imported-onnx.onnx", "imported-misfit", example=made / "imported-pick.pkl")


@pytest.mark.parametrize("file", ["imported-xgb.ubj", "imported-cat.cbm", "imported-onnx.onnx", "imported-weights.safetensors"])
def test_a_truncated_file_is_told_so(here: Any, made: Path, tmp_path: Path, file: str) -> None:
    whole = (made / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(Exception, match=r"cannot be read|truncated|cannot run|no whole") as refused:
        tilth.import_model(tmp_path / file, "imported-truncated", example=made / "rows.csv")
    assert isinstance(refused.value, tilth.core.errors.TilthError)


def test_archives_that_lead_out_hold_links_or_unpack_without_end_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "out.tar", "w") as packed:
        entry = tarfile.TarInfo("../../out.txt")
        packed.addfile(entry, io.BytesIO())
    with tarfile.open(tmp_path / "link.tar", "w") as packed:
        entry = tarfile.TarInfo("link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(entry)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed_zip:
        packed_zip.writestr("zeros", b"\0" * 150_000_000)
    (tmp_path / "broken.zip").write_bytes((tmp_path / "bomb.zip").read_bytes()[:1000])
    for name, said in (
        ("out.tar", "leads out of it"),
        ("link.tar", "links and devices are not unpacked"),
        ("bomb.zip", "unpacks to more than"),
        ("broken.zip", "cannot be unpacked"),
    ):
        with pytest.raises(NotImportable, match=said):
            importing.import_model(tmp_path / name)


def test_what_is_no_model_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(NotImportable, match="is no model that is known"):
        importing.import_model(tmp_path / "notes.txt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(NotImportable, match="no folder of a model that is known: it holds nothing"):
        importing.import_model(tmp_path / "folder")
    with pytest.raises(NotImportable, match="there is nothing at"):
        importing.import_model(tmp_path / "absent")


def test_metadata_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.onnx").write_bytes(b"x")
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "MLmodel").write_text("flavors: {onnx: {data: ../secret.onnx}}")
    with pytest.raises(NotImportable, match="which is not in the folder"):
        found_at(tmp_path / "m")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "MLmodel").write_text("flavors: {python_function: {}}")
    (tmp_path / "linked" / "model.bin").symlink_to(tmp_path / "secret.onnx")
    with pytest.raises(NotImportable, match=r"model\.bin is a link"):
        keep(found_at(tmp_path / "linked"), tmp_path / "out")


@given(
    st.binary(max_size=400),
    st.sampled_from(["", ".onnx", ".pkl", ".joblib", ".safetensors", ".json", ".ubj", ".txt", ".keras", ".pt"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_holds_it_is_told_apart_or_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    for data in (content, b"\x80\x04" + content, b"\x78\x9c" + content, b"PK\x03\x04" + content):
        path = tmp_path / f"file{suffix}"
        path.write_bytes(data)
        try:
            seen = scan(found_at(path))
        except NotImportable:
            continue
        assert seen.verdict != "clean" or suffix == ".onnx" or found_at(path).format not in RUNS_CODE


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20) | st.binary(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=20,
    ),
    st.sampled_from([2, 3, 4, 5]),
)
def test_a_program_start_is_found_wherever_it_stands_in_a_pickle(value: Any, protocol: int) -> None:
    hidden = [value, {"again": [value, Starts(Path("nowhere"))]}, value]
    look = look_at(io.BytesIO(pickle.dumps(hidden, protocol)))
    assert look.whole
    assert [name.partition(".")[2] for name in dangerous(look)] == ["system"]
    assert not dangerous(look_at(io.BytesIO(pickle.dumps([value, value], protocol))))


def test_a_name_that_no_model_may_have_is_refused_before_anything_is_stored(here: Any, tmp_path: Path) -> None:
    (tmp_path / "kept.pkl").write_bytes(pickle.dumps({}))
    for name in ("flights/1", "flights:1"):
        with pytest.raises(InvalidName, match="it stands in URIs, so it holds no '/' and no ':'"):
            tilth.import_model(tmp_path / "kept.pkl", name)
        with pytest.raises(InvalidName, match="it stands in URIs, so it holds no '/' and no ':'"):
            tilth.log_model(sum, name, {"x": 1.0})
