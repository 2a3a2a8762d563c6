"""A deployment outside of Tilth: the image's context is run, the manifests are read as their platforms would."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.ensemble import HistGradientBoostingRegressor

import tilth
from tilth.cli.elsewhere.deployed import Deployed
from tilth.cli.elsewhere.kubernetes import Wanted, kserve, kubernetes
from tilth.cli.elsewhere.locking import NotInLock, chosen, closure, entries_of, need_of, needs_of
from tilth.sdk import connection
from tilth.wire.models import ModelDocument
from tilth.wire.signature import Signature

LOCK = Path(__file__).parents[2] / "requirements" / "test.txt"
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
IMAGE = "registry.example.org/wind:1"


@pytest.fixture(scope="module")
def wind(shared_installation: Any) -> Any:
    """An installation with the deployment `wind_speed.v1`, the model that it serves, and rows for it."""
    rows = pd.DataFrame({"speed": np.linspace(0, 30, 200), "gust": np.linspace(5, 45, 200)})
    fitted = HistGradientBoostingRegressor(max_iter=5).fit(rows, rows["speed"] * 2)
    tilth.init(url=shared_installation.url, token=shared_installation.owner_token)
    logged = tilth.log_model(fitted, name="wind", example=rows.head())
    connection.forget()
    body = {"model": "wind", "version": logged.version}
    assert shared_installation.client.put("/api/v1/p/default/deployments/wind_speed.v1", json=body).status_code == 200
    return shared_installation, fitted, rows


def command(wind: Any, *words: str) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-m", "tilth.cli", *words, "--url", wind[0].url, "--token", wind[0].owner_token]
    return subprocess.run(given, capture_output=True, text=True, timeout=120, env=os.environ | {"TILTH_HOME": str(wind[0].home)})


@pytest.fixture(scope="module")
def context(wind: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image") / "context"
    ended = command(wind, "image", "wind_speed.v1", "--out", str(folder), "--lock", str(LOCK))
    assert ended.returncode == 0, ended.stderr
    assert f"build it: docker build -t wind-speed-v1:1 {folder}" in ended.stdout
    return folder


def instructions(folder: Path) -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile, continued lines joined."""
    lines = (folder / "Dockerfile").read_text().replace("\\\n", "").splitlines()
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line and not line.startswith("#"))
    ]


def test_the_dockerfile_pins_verifies_and_drops_rights_in_this_order(context):
    found = instructions(context)
    words = [word for word, _ in found]
    assert words[0] == "FROM"
    assert words.count("USER") == 1
    by_word = dict(found)
    assert by_word["USER"] == "10001:10001"
    assert by_word["EXPOSE"] == "8080"
    assert "/ping" in by_word["HEALTHCHECK"]
    runs = [rest for word, rest in found if word == "RUN"]
    assert "--require-hashes" in runs[0]
    assert "--no-deps" in runs[0]
    assert runs[1] == "sha256sum --check --quiet sha256sums"
    # Nothing is copied, and no command runs, once the rights are dropped.
    assert set(words[words.index("USER") + 1 :]) == {"EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    for source in [rest.split()[0] for word, rest in found if word == "COPY"]:
        assert (context / source).exists()
    for form in ("ENTRYPOINT", "CMD"):
        assert json.loads(by_word[form])


def test_every_file_of_model_and_code_stands_in_the_checksums(context):
    listed = dict(reversed(line.split("  ", 1)) for line in (context / "sha256sums").read_text().splitlines())
    there = {}
    for path in (path for part in ("model", "tilth") for path in (context / part).rglob("*") if path.is_file()):
        name = path.relative_to(context).as_posix()
        placed = name.replace("model/", "/opt/ml/model/", 1) if name.startswith("model/") else name
        there[placed] = hashlib.sha256(path.read_bytes()).hexdigest()
    assert listed == there
    assert not {"app", "domains", "web", "backends", "guard"} & {path.name for path in (context / "tilth").iterdir()}


def test_the_requirements_are_whole_pinned_and_hashed(context):
    entries = entries_of((context / "requirements.txt").read_text())
    assert {"scikit-learn", "treelite", "numpy", "click", "uvloop"} <= entries.keys()
    assert "mlflow" not in entries
    assert all("--hash=sha256:" in entry for by_version in entries.values() for entry in by_version.values())
    assert all(len(by_version) == 1 for by_version in entries.values())
    for name in entries:
        for need in map(need_of, metadata.requires(name) or ()):
            assert need.marker or need.name in entries, f"{name} needs {need.name}"


def test_the_context_serves_the_deployed_version_by_its_own_entry_point(context, wind):
    found = dict(instructions(context))
    words = [*json.loads(found["ENTRYPOINT"]), *json.loads(found["CMD"]), "--port", "0", "--host", "127.0.0.1"]
    words = [sys.executable if word == "python" else word.replace("/opt/ml/model", str(context / "model")) for word in words]
    allowed = sorted(entries_of((context / "requirements.txt").read_text()))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(context), "PYTHONDONTWRITEBYTECODE": "1"}
    child = subprocess.Popen(words, cwd=context, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    line = child.stdout.readline()
    try:
        assert line.startswith("ready "), child.communicate()[1]
        with httpx.Client(base_url=line.split()[1], timeout=20) as client:
            assert client.get("/ping").status_code == 200
            assert client.get("/v2/health/ready").status_code == 200
            answer = client.post("/invocations", json={"dataframe_records": [{"speed": 3.0, "gust": 9.0}]}).json()
    finally:
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=20)
    assert child.returncode == 0, said
    fitted = wind[1]
    assert answer["predictions"] == [pytest.approx(fitted.predict(pd.DataFrame({"speed": [3.0], "gust": [9.0]}))[0])]
    assert (answer["model"], answer["version"]) == ("wind_speed.v1", "1")
    assert "polars" in allowed


def test_what_serving_imports_is_in_the_requirements(context):
    """Whatever of other packages the entry point loads must be installed in the image."""
    code = (
        "import sys, importlib; importlib.import_module('tilth.cli.commands.serve'); importlib.import_module('tilth.plane.standalone');"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(context), "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run([sys.executable, "-c", code], cwd=context, env=environment, capture_output=True, text=True, check=True)
    owners = metadata.packages_distributions()
    needed = {need_of(name).name for module in ran.stdout.split() for name in owners.get(module, ())} - {"tilth"}
    allowed = entries_of((context / "requirements.txt").read_text())
    # What site loads is not of the image, and httpx looks for brotli and does without.
    assert {name for name in needed if name not in allowed} - {"setuptools", "brotli"} == set()


def test_a_context_is_written_anew_over_an_older_one_only(context, wind, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    ended = command(wind, "image", "wind_speed.v1", "--out", str(tmp_path), "--lock", str(LOCK))
    assert ended.returncode == 1
    assert "is not empty and holds no context" in ended.stderr
    (context / "model" / "left-over").write_text("x")
    assert command(wind, "image", "wind_speed.v1", "--out", str(context), "--lock", str(LOCK)).returncode == 0
    assert not (context / "model" / "left-over").exists()


def test_a_lock_that_lacks_something_is_refused_with_all_that_it_lacks():
    lock = f"numpy==2.4.1 \\\n    --hash=sha256:{'a' * 64}\nclick==8.3.1\n"
    with pytest.raises(NotInLock) as refused:
        chosen(lock, {"numpy": "2.4.1", "click": "8.3.1", "rich": "14.0", "uvloop": "0.22"})
    assert "click has no hash in it; rich==14.0 is not in it; uvloop==0.22 is not in it" in str(refused.value)
    assert chosen(lock, {"numpy": "2.4.1"}).startswith("numpy==2.4.1 \\\n    --hash=sha256:aaa")


def test_the_closure_follows_requirements_and_leaves_out_extras_and_other_platforms():
    known = {
        "model-lib": ("2.0", ["Base_Lib>=1", "plots; extra == 'plots'", "winlib; sys_platform == 'win32'"]),
        "base-lib": ("1.5", []),
    }

    def installed(name: str) -> tuple[str, list[str]]:
        if name not in known:
            raise metadata.PackageNotFoundError(name)
        return known[name]

    assert closure([need_of("model-lib==1.9")], installed) == {"base-lib": "1.5", "model-lib": "1.9"}
    with pytest.raises(NotInLock, match="needs absent"):
        closure([need_of("absent")], installed)


def test_kubernetes_manifests_fit_together(wind, tmp_path):
    ended = command(wind, "export", "kubernetes", "wind_speed.v1", "--image", IMAGE, "--out", str(tmp_path), "--replicas", "3")
    assert ended.returncode == 0, ended.stderr
    found = {each["kind"]: each for path in sorted(tmp_path.iterdir()) for each in yaml.safe_load_all(path.read_text())}
    versions = {kind: each["apiVersion"] for kind, each in found.items()}
    assert versions == {
        "ServiceAccount": "v1",
        "Deployment": "apps/v1",
        "Service": "v1",
        "HorizontalPodAutoscaler": "autoscaling/v2",
        "PodDisruptionBudget": "policy/v1",
    }
    names = {each["metadata"]["name"] for each in found.values()}
    assert names == {"wind-speed-v1"}
    assert all(NAME.fullmatch(name) for name in names)
    deployment = found["Deployment"]["spec"]
    pod, labels = deployment["template"]["spec"], deployment["template"]["metadata"]["labels"]
    for selector in (
        deployment["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "wind-speed-v1",
    }
    assert (found["HorizontalPodAutoscaler"]["spec"]["minReplicas"], "replicas" in deployment) == (3, False)
    assert found["Service"]["spec"]["ports"][0]["targetPort"] in {port["name"] for port in pod["containers"][0]["ports"]}
    assert pod["serviceAccountName"] == found["ServiceAccount"]["metadata"]["name"]
    check_container(pod["containers"][0], pod)
    assert "preStop" in pod["containers"][0]["lifecycle"]


AWS = r"""#!/usr/bin/env bash
case "$2" in
  describe-*) exec test -e "$FOLDER/made-${2#describe-}" ;;
  create-*) touch "$FOLDER/made-${2#create-}" ;;
esac
test "$2" = wait || test -e "${4#file://}" || exit 1
echo "$2" >> "$FOLDER/told"
"""


def check_container(container: dict[str, Any], pod: dict[str, Any]) -> None:
    """What every container of ours must hold to."""
    (port,) = container["ports"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        get = container[probe]["httpGet"]
        assert get["port"] in (port["containerPort"], port["name"])
        assert get["path"] in ("/v2/health/ready", "/v2/health/live")
    assert container["livenessProbe"]["httpGet"]["path"] != container["readinessProbe"]["httpGet"]["path"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] is True
    assert security["runAsNonRoot"] is True
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    quantity = re.compile(r"\d+(\.\d+)?(m|Ki|Mi|Gi|Ti)?")
    for amounts in container["resources"].values():
        assert all(quantity.fullmatch(amount) for amount in amounts.values())
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
    mounted, there = {mount["name"] for mount in container["volumeMounts"]}, {volume["name"] for volume in pod["volumes"]}
    assert mounted == there


def test_the_inference_service_of_kserve_has_one_container_of_the_name_that_kserve_knows():
    (document,) = kserve(Wanted("wind", "wind", "wind/1", "a" * 64, "default", IMAGE))["inference-service.yaml"]
    assert (document["apiVersion"], document["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    predictor = document["spec"]["predictor"]
    assert predictor["minReplicas"] <= predictor["maxReplicas"]
    (container,) = predictor["containers"]
    assert (container["name"], container["image"]) == ("kserve-container", IMAGE)
    # Knative takes a port only under the name of its protocol.
    assert container["ports"][0]["name"] in ("http1", "h2c")
    check_container(container, predictor)
    # Knative, on which KServe may run, refuses both.
    assert "securityContext" not in predictor
    assert "lifecycle" not in container


def test_documents_share_nothing_that_yaml_would_write_as_a_reference():
    for documents in kubernetes(Wanted("wind", "wind", "wind/1", "a" * 64, "default", IMAGE)).values():
        written = yaml.safe_dump_all(documents)
        assert list(yaml.safe_load_all(written)) == documents
        assert "&id" not in written


def test_the_requests_of_sagemaker_name_each_other_and_the_script_sends_them_in_order(wind, tmp_path):
    role = "arn:aws:iam::123456789012:role/sagemaker"
    ended = command(wind, "export", "sagemaker", "wind_speed.v1", "--image", IMAGE, "--role", role, "--out", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    model, config, endpoint = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("model", "endpoint-config", "endpoint")
    )
    name = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
    assert all(name.fullmatch(each) for each in (model["ModelName"], config["EndpointConfigName"], endpoint["EndpointName"]))
    assert (model["ExecutionRoleArn"], model["PrimaryContainer"]["Image"]) == (role, IMAGE)
    (variant,) = config["ProductionVariants"]
    assert variant["ModelName"] == model["ModelName"]
    assert variant["InitialInstanceCount"] == 1
    assert endpoint["EndpointConfigName"] == config["EndpointConfigName"]
    script = tmp_path / "create.sh"
    assert os.access(script, os.X_OK)
    assert told_to_aws(script, tmp_path) == ["create-model", "create-endpoint-config", "create-endpoint", "wait"]
    # Once more, with all of it there.
    assert told_to_aws(script, tmp_path) == ["update-endpoint", "wait"]


def told_to_aws(script: Path, folder: Path) -> list[str]:
    """What the script asks a command `aws` that knows what it has made, describing aside."""
    stand_in = folder / "bin" / "aws"
    stand_in.parent.mkdir(exist_ok=True)
    stand_in.write_text(AWS)
    stand_in.chmod(0o755)
    told = folder / "told"
    told.write_text("")
    environment = {**os.environ, "PATH": f"{stand_in.parent}:{os.environ['PATH']}", "FOLDER": str(folder)}
    subprocess.run([str(script)], check=True, env=environment)
    return told.read_text().split()


def test_a_deployment_that_is_not_there_is_said_to_be_absent(wind, tmp_path):
    ended = command(wind, "export", "kserve", "nowhere", "--image", IMAGE, "--out", str(tmp_path))
    assert ended.returncode == 1
    assert "nowhere" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_tilth_itself_is_asked_of_no_package_index():
    document = ModelDocument(flavour="function", signature=Signature(), method="predict", model_path="model.pkl")
    names = {need.name for need in needs_of(document, "tilth==0.1.0\ncloudpickle==3.1.2\n")}
    assert "tilth" not in names
    assert {"cloudpickle", "numpy", "uvloop"} <= names


def test_the_user_of_the_container_can_read_all_of_the_context(context):
    assert {path.stat().st_mode & 0o777 for path in (context, *context.rglob("*")) if path.is_dir()} == {0o755}
    assert {path.stat().st_mode & 0o777 for path in context.rglob("*") if path.is_file()} == {0o644}


@pytest.mark.parametrize(
    ("name", "label"), [("Wind_Speed.v1", "wind-speed-v1"), ("3d-scans", "model-3d-scans"), ("_", "model"), ("a" * 60, "a" * 50)]
)
def test_the_name_on_a_platform_begins_with_a_letter(name, label):
    view = SimpleNamespace(name=name)
    assert Deployed(view, None).label == label
