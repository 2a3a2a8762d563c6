"""Registered models and their versions."""

from __future__ import annotations

from tests.mlflow.differential.place import Place

SOURCE = "s3://bucket/model"


def _model(client, place: Place, suffix: str = "", versions: int = 0, **fields) -> str:
    name = f"{place.name}{suffix}"
    client.create_registered_model(name, **fields)
    for number in range(versions):
        client.create_model_version(name, f"{SOURCE}/{number}")
    return name


def a_new_registered_model(client, place: Place):
    place.note("made", client.create_registered_model, place.name, tags={"a": "1"}, description="text")
    place.note("read", client.get_registered_model, place.name)
    place.note("again", client.create_registered_model, place.name)
    place.note("bare", client.create_registered_model, f"{place.name} bare")


def names_of_registered_models(client, place: Place):
    for label, name in {
        "unicode": f"{place.name} ü🌍",
        "slash": "a/b",
        "colon": "a:b",
        "quote": f"{place.name}'\"",
        "dots": "..",
        "dot": ".",
        "empty": "",
        "blank": "  ",
        "long": place.name + "x" * (256 - len(place.name)),
        "longer": place.name + "x" * (257 - len(place.name)),
        "backslash": f"{place.name}\\..\\x",
        "percent": f"{place.name}%",
        "number": 5,
        "none": None,
        "question": f"{place.name}?x=1&y#z",
    }.items():
        made = place.note(label, client.create_registered_model, name)
        if made is not None:
            place.note(f"{label}: read", lambda name=name: client.get_registered_model(name).name)


def unknown_registered_models(client, place: Place):
    name = "no such model"
    place.note("get", client.get_registered_model, name)
    place.note("rename", client.rename_registered_model, name, "x")
    place.note("update", client.update_registered_model, name, "x")
    place.note("delete", client.delete_registered_model, name)
    place.note("tag", client.set_registered_model_tag, name, "a", "b")
    place.note("untag", client.delete_registered_model_tag, name, "a")
    place.note("latest", client.get_latest_versions, name)
    place.note("version", client.create_model_version, name, SOURCE)
    place.note("get version", client.get_model_version, name, "1")
    place.note("update version", client.update_model_version, name, "1", "x")
    place.note("delete version", client.delete_model_version, name, "1")
    place.note("tag version", client.set_model_version_tag, name, "1", "a", "b")
    place.note("untag version", client.delete_model_version_tag, name, "1", "a")
    place.note("stage", client.transition_model_version_stage, name, "1", "Staging")
    place.note("download", client.get_model_version_download_uri, name, "1")
    place.note("alias", client.set_registered_model_alias, name, "a", "1")
    place.note("unalias", client.delete_registered_model_alias, name, "a")
    place.note("by alias", client.get_model_version_by_alias, name, "a")


def renaming_models(client, place: Place):
    name = _model(client, place, versions=1)
    other = _model(client, place, " other")
    client.set_registered_model_alias(name, "best", "1")
    place.note("renamed", client.rename_registered_model, name, f"{name} new")
    place.note("old", client.get_registered_model, name)
    place.note("new", client.get_registered_model, f"{name} new")
    place.note("version", client.get_model_version, f"{name} new", "1")
    place.note("taken", client.rename_registered_model, f"{name} new", other)
    place.note("same", client.rename_registered_model, other, other)
    place.note("empty", client.rename_registered_model, other, "")
    place.note("slash", client.rename_registered_model, other, "a/b")


def changing_models(client, place: Place):
    name = _model(client, place, description="first")
    place.note("description", client.update_registered_model, name, "second")
    place.note("none", client.update_registered_model, name, None)
    place.note("none: shown", client.get_registered_model(name).description)
    place.note("empty", client.update_registered_model, name, "")
    place.note("empty: shown", client.get_registered_model(name).description)
    place.note("long", lambda: len(client.update_registered_model(name, "x" * 5000).description))


def tags_of_registered_models(client, place: Place):
    name = _model(client, place, versions=1)
    for label, key, value in (
        ("plain", "a", "1"),
        ("again", "a", "2"),
        ("number", "n", 5),
        ("none", "o", None),
        ("empty value", "e", ""),
        ("empty key", "", "x"),
        ("odd", "a\tb", "x"),
        ("path", "../x", "x"),
        ("slash", "x/y", "1"),
        ("key 250", "k" * 250, "x"),
        ("key 251", "k" * 251, "x"),
        ("value 100000", "v", "v" * 100_000),
        ("value 100001", "w", "v" * 100_001),
    ):
        place.note(f"model: {label}", client.set_registered_model_tag, name, key, value)
        place.note(f"version: {label}", client.set_model_version_tag, name, "1", key, value)
    place.note("model", {key: len(value) for key, value in client.get_registered_model(name).tags.items()})
    place.note("version", {key: len(value) for key, value in client.get_model_version(name, "1").tags.items()})
    place.note("remove", client.delete_registered_model_tag, name, "a")
    place.note("remove again", client.delete_registered_model_tag, name, "a")
    place.note("remove of version", client.delete_model_version_tag, name, "1", "a")
    place.note("remove of version again", client.delete_model_version_tag, name, "1", "a")


def deleted_registered_models(client, place: Place):
    name = _model(client, place, versions=2)
    place.note("deleted", client.delete_registered_model, name)
    place.note("read", client.get_registered_model, name)
    place.note("version", client.get_model_version, name, "1")
    place.note("again", client.delete_registered_model, name)
    place.note("made anew", client.create_registered_model, name)
    place.note("numbers begin anew", client.create_model_version(name, SOURCE).version)


def new_versions(client, place: Place):
    name = _model(client, place)
    place.note("first", client.create_model_version, name, SOURCE, tags={"a": "1"}, description="text")
    place.note("second", client.create_model_version, name, SOURCE, run_link="http://x/y")
    place.note("read", client.get_model_version, name, "1")
    place.note("model", client.get_registered_model, name)
    place.note("uri", client.get_model_version_download_uri, name, "1")
    for label, fields in {
        "empty source": {"source": ""},
        "no source": {"source": None},
        "unknown run": {"source": SOURCE, "run_id": "0" * 32},
        "run elsewhere": {"source": "runs:/" + "0" * 32 + "/model"},
        "local": {"source": "/etc"},
        "relative": {"source": "model"},
        "file": {"source": "file:///etc"},
        "unknown logged model": {"source": "models:/m-" + "0" * 32},
        "version": {"source": f"models:/{name}/1"},
        "unknown version": {"source": f"models:/{name}/99"},
        "alias": {"source": f"models:/{name}@none"},
        "dots": {"source": "s3://bucket/../x"},
        "dots encoded": {"source": "mlflow-artifacts:/%2e%2e/x"},
        "http": {"source": "http://host/x"},
        "dbfs": {"source": "dbfs:/x"},
        "fragment": {"source": "s3://bucket/x#y"},
    }.items():
        place.note(label, client.create_model_version, name, **fields)


def versions_of_logged_models(client, place: Place):
    experiment = place.experiment()
    run = place.run(experiment)
    logged = client.create_logged_model(experiment, "m", source_run_id=run, params={"p": "1"})
    client.finalize_logged_model(logged.model_id, "READY")
    name = _model(client, place)
    made = place.note(
        "made", client.create_model_version, name, f"models:/{logged.model_id}", run_id=run, model_id=logged.model_id
    )
    place.note("read", client.get_model_version, name, made.version)
    place.note("logged", client.get_logged_model, logged.model_id)
    place.note("uri", client.get_model_version_download_uri, name, made.version)
    place.note("other id", client.create_model_version, name, f"models:/{logged.model_id}", model_id="m-" + "1" * 32)
    place.note("from a run", client.create_model_version, name, f"runs:/{run}/model", run_id=run)
    place.note("artifact address", client.create_model_version, name, logged.artifact_location, run_id=run)


def unknown_versions(client, place: Place):
    name = _model(client, place, versions=1)
    for number in ("9", "x", "", "-1", "0", "1.5", 1, "99999999999"):
        place.note(f"get {number!r}", client.get_model_version, name, number)
        place.note(f"update {number!r}", client.update_model_version, name, number, "x")
        place.note(f"tag {number!r}", client.set_model_version_tag, name, number, "a", "b")
        place.note(f"stage {number!r}", client.transition_model_version_stage, name, number, "Staging")
        place.note(f"uri {number!r}", client.get_model_version_download_uri, name, number)
        place.note(f"alias {number!r}", client.set_registered_model_alias, name, "a", number)
    place.note("untag", client.delete_model_version_tag, name, "9", "a")
    place.note("delete", client.delete_model_version, name, "9")
    place.note("model", client.get_registered_model, name)


def changing_versions(client, place: Place):
    name = _model(client, place, versions=2)
    place.note("description", client.update_model_version, name, "1", "text")
    place.note("none", client.update_model_version, name, "1", None)
    place.note("empty", client.update_model_version, name, "1", "")
    place.note("delete", client.delete_model_version, name, "2")
    place.note("gone", client.get_model_version, name, "2")
    place.note("delete again", client.delete_model_version, name, "2")
    place.note("next number", client.create_model_version(name, SOURCE).version)
    place.note("model", client.get_registered_model, name)


def stages(client, place: Place):
    name = _model(client, place, versions=3)
    place.note("staging", client.transition_model_version_stage, name, "1", "Staging")
    place.note("lower case", client.transition_model_version_stage, name, "1", "production")
    place.note("second", client.transition_model_version_stage, name, "2", "Production", archive_existing_versions=True)
    place.note("first", client.get_model_version(name, "1").current_stage)
    place.note("none", client.transition_model_version_stage, name, "2", "None")
    place.note("archived", client.transition_model_version_stage, name, "2", "Archived")
    place.note("unknown", client.transition_model_version_stage, name, "2", "foo")
    place.note("empty", client.transition_model_version_stage, name, "2", "")
    place.note("archive into none", client.transition_model_version_stage, name, "2", "None", archive_existing_versions=True)
    client.transition_model_version_stage(name, "3", "Staging")
    for wanted in (None, [], ["None"], ["Staging"], ["staging", "Archived"], ["foo"]):
        place.note(
            f"latest {wanted}",
            lambda wanted=wanted: sorted((f.current_stage, f.version) for f in client.get_latest_versions(name, wanted)),
        )


def aliases(client, place: Place):
    name = _model(client, place, versions=2)
    for alias in (
        "best",
        "a-b_c",
        "latest",
        "LATEST",
        "v1",
        "V12",
        "v",
        "a b",
        "a/b",
        "ü",
        "",
        "x" * 255,
        "x" * 256,
        "1",
        None,
        5,
    ):
        place.note(f"set {str(alias)[:20]} {len(str(alias))}", client.set_registered_model_alias, name, alias, "1")
    place.note("read", client.get_model_version_by_alias, name, "best")
    place.note("other case", client.get_model_version_by_alias, name, "BEST")
    place.note("moved", client.set_registered_model_alias, name, "best", "2")
    place.note("model", client.get_registered_model, name)
    place.note("version", client.get_model_version, name, "2")
    place.note("removed", client.delete_registered_model_alias, name, "best")
    place.note("removed again", client.delete_registered_model_alias, name, "best")
    place.note("by alias", client.get_model_version_by_alias, name, "best")
    place.note("latest", lambda: client.get_model_version_by_alias(name, "latest").version)
    client.set_registered_model_alias(name, "on-two", "2")
    place.note("delete version", client.delete_model_version, name, "2")
    place.note("alias of it", client.get_model_version_by_alias, name, "on-two")
    place.note("left", lambda: sorted(client.get_registered_model(name).aliases))


def searching_models(client, place: Place):
    for number, suffix in enumerate("abc"):
        _model(client, place, f"-{suffix}", tags={"n": str(number), "a b": "x"})
    mine = f"name LIKE '{place.name}-%'"
    for text in (
        mine,
        f"name = '{place.name}-a'",
        f"name != '{place.name}-a' AND {mine}",
        f"name ILIKE '{place.name.upper()}-%'",
        f"name LIKE '{place.name.upper()}-%'",
        f"tags.n = '1' AND {mine}",
        f"tag.n = '1' AND {mine}",
        f"tag.n != '1' AND {mine}",
        f"tags.`a b` = 'x' AND {mine}",
        f"tags.n LIKE '1%' AND {mine}",
        "tags.n = '1' AND tags.`a b` = 'x'",
        "tags.n > '1'",
        "tags.n IS NULL",
        "tags.n = 1",
        "name > 'a'",
        "name = 5",
        "name IN ('a')",
        "nothing = 'x'",
        "run_id = 'x'",
        "creation_timestamp > 5",
        "name",
        "name =",
        "name = 'a' OR name = 'b'",
        "name = 'a",
        "(name = 'a')",
        "metrics.a > 1",
    ):
        place.note(text, lambda text=text: [found.name for found in client.search_registered_models(text)])
    for order in (
        ["name"],
        ["name DESC"],
        ["last_updated_timestamp DESC"],
        ["timestamp"],
        ["creation_timestamp"],
        ["foo"],
        ["name UP"],
        [""],
        ["tags.n"],
    ):
        place.note(f"order {order}", lambda order=order: [f.name for f in client.search_registered_models(mine, order_by=order)])


def pages_of_models(client, place: Place):
    for suffix in "abcde":
        _model(client, place, f"-{suffix}")
    mine = f"name LIKE '{place.name}-%'"
    token, pages = None, []
    for _ in range(3):
        page = client.search_registered_models(mine, max_results=2, page_token=token)
        pages.append([[found.name for found in page], bool(page.token)])
        token = page.token
    place.note("pages", pages)
    for most in (0, -1, 1, 1000, 1001, "x", None):
        place.note(f"max_results {most}", lambda most=most: len(client.search_registered_models(mine, max_results=most)))
    place.note("bad token", lambda: len(client.search_registered_models(mine, page_token="bad")))


def searching_versions(client, place: Place):
    name = _model(client, place, versions=3)
    client.set_model_version_tag(name, "2", "t", "Tag")
    client.update_model_version(name, "1", "newest change")
    mine = f"name = '{name}'"
    for text in (
        mine,
        f"{mine} AND version_number = 2",
        f"{mine} AND version_number > 1",
        f"{mine} AND version_number != 1",
        f"{mine} AND version_number <= 2",
        f"{mine} AND version_number = '2'",
        f"{mine} AND run_id = 'x'",
        f"{mine} AND run_id IN ('x', 'y')",
        f"{mine} AND source_path = '{SOURCE}/1'",
        f"{mine} AND source_path LIKE '%/1'",
        f"{mine} AND tags.t = 'Tag'",
        f"{mine} AND tags.t LIKE 'T%'",
        f"{mine} AND tags.t != 'Tag'",
        f"{mine} AND tag.t ILIKE 'tag'",
        f"name LIKE '{name}%'",
        f"name ILIKE '{name.upper()}'",
        f"name IN ('{name}')",
        f"{mine} AND creation_timestamp > 5",
        f"{mine} AND last_updated_timestamp > 5",
        f"{mine} AND version = 2",
        f"{mine} AND user_id = 'x'",
        f"{mine} AND source = 'x'",
        f"{mine} AND current_stage = 'None'",
        "nothing = 'x'",
        "name > 'a'",
        "name",
        "name = 'a' OR name = 'b'",
        "run_id IN ()",
        "run_id IN ('')",
        "run_id IN ('x',)",
        "version_number LIKE 1",
        "tags.t > 'x'",
    ):
        place.note(text, lambda text=text: sorted(found.version for found in client.search_model_versions(text)))
    for order in (
        ["version_number"],
        ["version_number DESC"],
        ["name", "version_number ASC"],
        ["source_path DESC"],
        ["run_id", "version_number"],
        ["foo"],
        ["version_number UP"],
        ["timestamp"],
        [""],
    ):
        place.note(f"order {order}", lambda order=order: [f.version for f in client.search_model_versions(mine, order_by=order)])
    place.note("last changed first", client.search_model_versions(mine)[0].version)


def pages_of_versions(client, place: Place):
    name = _model(client, place, versions=5)
    mine, token, pages = f"name = '{name}'", None, []
    for _ in range(3):
        page = client.search_model_versions(mine, max_results=2, page_token=token, order_by=["version_number"])
        pages.append([[found.version for found in page], bool(page.token)])
        token = page.token
    place.note("pages", pages)
    for most in (0, -1, 1, 200_000, 200_001, "x", None):
        place.note(f"max_results {most}", lambda most=most: len(client.search_model_versions(mine, max_results=most)))
    place.note("bad token", lambda: len(client.search_model_versions(mine, page_token="bad")))


def copies_of_versions(client, place: Place):
    name = _model(client, place, versions=1)
    place.note("copied", client.copy_model_version, f"models:/{name}/1", f"{name} copy")
    place.note("again", client.copy_model_version, f"models:/{name}/1", f"{name} copy")
    place.note("unknown", client.copy_model_version, f"models:/{name}/9", f"{name} copy")
    place.note("no such address", client.copy_model_version, "foo", f"{name} copy")
    place.note("read", client.get_registered_model, f"{name} copy")
