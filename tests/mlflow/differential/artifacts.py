"""Artifacts of runs and models, through the proxy."""

from __future__ import annotations

from pathlib import Path

from tests.mlflow.differential.place import Place


def _tree(client, run: str, path: str | None = None):
    return lambda: [[file.path, file.is_dir, file.file_size] for file in client.list_artifacts(run, path)]


def files_and_folders(client, place: Place):
    run = place.run()
    place.note("nothing", _tree(client, run))
    place.note("file", client.log_artifact, run, place.file("a.txt", b"alpha"))
    place.note("in a folder", client.log_artifact, run, place.file("b.txt", b"beta"), "x/y")
    place.note("again", client.log_artifact, run, place.file("a.txt", b"other"))
    place.file("tree/c.txt", b"c")
    place.file("tree/deep/d.txt", b"dd")
    place.note("folder", client.log_artifacts, run, str(place.folder / "tree"), "t")
    place.note("empty file", client.log_artifact, run, place.file("empty", b""))
    for path in (
        None,
        "",
        "x",
        "x/y",
        "x/y/b.txt",
        "a.txt",
        "t",
        "t/",
        "none",
        "none/none",
        "..",
        "../..",
        "/x",
        "x/../t",
        "x//y",
    ):
        place.note(f"list {path}", _tree(client, run, path))


def names_of_files(client, place: Place):
    run = place.run()
    for name in (
        "a b.txt",
        "ünï.txt",
        "per%cent.txt",
        "plus+.txt",
        "quote'.txt",
        "semi;colon.txt",
        "star*.txt",
        ".hidden",
        "a=b&c.txt",
    ):
        place.note(name, client.log_artifact, run, place.file(name, name.encode()))
        place.note(f"{name}: read", lambda name=name: Path(client.download_artifacts(run, name)).read_bytes().decode())
    place.note("list", _tree(client, run))


def folders_of_files(client, place: Place):
    run = place.run()
    path = place.file("f.txt", b"f")
    for folder in ("..", "../x", "a/../../x", "/abs", "a//b", "a/./b", ".", "ü/ß", "a b", "c%2e%2e", "d\\..\\e"):
        place.note(folder, client.log_artifact, run, path, folder)
    place.note("list", _tree(client, run))


def downloads(client, place: Place):
    run = place.run()
    client.log_text(run, "alpha", "a.txt")
    client.log_text(run, "beta", "x/y/b.txt")
    place.note("file", lambda: Path(client.download_artifacts(run, "a.txt")).read_text())
    place.note("folder", lambda: sorted(p.name for p in Path(client.download_artifacts(run, "x")).rglob("*")))
    place.note("all", lambda: sorted(p.name for p in Path(client.download_artifacts(run, "")).rglob("*") if p.is_file()))
    place.note("none", client.download_artifacts, run, "none.txt")
    place.note("up", client.download_artifacts, run, "../x")
    place.note("unknown run", client.download_artifacts, "0" * 32, "a.txt")


def texts_dicts_and_tables(client, place: Place):
    run = place.run()
    place.note("text", client.log_text, run, "grüße", "t.txt")
    place.note("dict", client.log_dict, run, {"b": 1, "a": [1, 2]}, "d.json")
    place.note("yaml", client.log_dict, run, {"b": 1}, "d.yaml")
    place.note("table", client.log_table, run, {"q": ["a"], "r": [1]}, "table.json")
    place.note("more", client.log_table, run, {"q": ["b"], "r": [2]}, "table.json")
    place.note("loaded", lambda: client.load_table(client.get_run(run).info.experiment_id, "table.json").to_dict("list"))
    place.note("tag", client.get_run(run).data.tags.get("mlflow.loggedArtifacts"))
    place.note("json", lambda: Path(client.download_artifacts(run, "d.json")).read_text())
    place.note("list", lambda: sorted(_tree(client, run)()))


def artifacts_of_deleted_runs(client, place: Place):
    run = place.run()
    client.log_text(run, "alpha", "a.txt")
    client.delete_run(run)
    place.note("list", _tree(client, run))
    place.note("read", lambda: Path(client.download_artifacts(run, "a.txt")).read_text())


def artifacts_of_logged_models(client, place: Place):
    model = client.create_logged_model(place.experiment(), "m").model_id
    place.file("m/MLmodel", b"flavors: {}\n")
    place.file("m/data/w.bin", b"\0\1")
    place.note("sent", client.log_model_artifacts, model, str(place.folder / "m"))
    place.note("one", client.log_model_artifact, model, place.file("more.txt", b"x"))
    for path in (None, "data", "MLmodel", "none", "..", "../x"):
        place.note(
            f"list {path}",
            lambda path=path: [[f.path, f.is_dir, f.file_size] for f in client.list_logged_model_artifacts(model, path)],
        )


def the_proxy_itself(client, place: Place):
    run = place.run()
    client.log_text(run, "alphabet", "x/a.txt")
    root = client.get_run(run).info.artifact_uri.partition(":/")[2].strip("/")
    base = "/api/2.0/mlflow-artifacts/artifacts"
    place.ask("list", "GET", base, params={"path": root})
    place.ask("list folder", "GET", base, params={"path": f"{root}/x"})
    place.ask("list nothing", "GET", base, params={"path": f"{root}/none"})
    place.ask("list up", "GET", base, params={"path": f"{root}/../../.."})
    place.ask("list encoded up", "GET", base, params={"path": f"{root}/%2e%2e"})
    place.note("read", place.http.get(f"{base}/{root}/x/a.txt").text)
    answer = place.http.get(f"{base}/{root}/x/a.txt")
    place.note("headers", {name: answer.headers.get(name) for name in ("content-disposition", "x-content-type-options")})
    place.ask("read nothing", "GET", f"{base}/{root}/none.txt")
    place.ask("read folder", "GET", f"{base}/{root}/x")
    place.ask("put", "PUT", f"{base}/{root}/new.bin", content=b"\0\1")
    place.note("put up", place.http.put(f"{base}/{root}/%2e%2e/%2e%2e/x", content=b"x").status_code)
    place.ask("delete", "DELETE", f"{base}/{root}/new.bin")
    place.ask("delete again", "DELETE", f"{base}/{root}/new.bin")
    place.note("left", _tree(client, run))
