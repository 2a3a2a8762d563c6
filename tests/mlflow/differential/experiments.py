"""Experiments."""

from __future__ import annotations

from mlflow.entities import ViewType
from tests.mlflow.differential.place import Place


def a_new_experiment(client, place: Place):
    made = place.note("id", client.create_experiment, f"{place.name}", tags={"a": "1", "b": "ü"})
    place.outcomes["id"] = made.isdigit()
    place.note("by id", client.get_experiment, made)
    place.note("by name", client.get_experiment_by_name, place.name)
    place.note("again", client.create_experiment, place.name)


def experiment_names(client, place: Place):
    for label, name in {
        "slash": f"{place.name}/x/y",
        "unicode": f"{place.name} ünïcødé 🌍",
        "quote": f"{place.name}'\"`",
        "percent": f"{place.name}%",
        "long": f"{place.name}" + "x" * (500 - len(place.name)),
        "too long": f"{place.name}" + "x" * (501 - len(place.name)),
        "blank": "   ",
        "empty": "",
        "dots": f"../{place.name}",
    }.items():
        made = place.note(label, client.create_experiment, name)
        if made is not None:
            place.outcomes[label] = "made"
            place.note(f"{label}: shown", client.get_experiment(made).name)
            place.note(f"{label}: found", client.get_experiment_by_name(name) is not None)


def an_experiment_name_that_is_no_text(client, place: Place):
    place.note("number", client.create_experiment, 5)
    place.note("None", client.create_experiment, None)
    place.note("list", client.create_experiment, ["a"])


def unknown_experiments(client, place: Place):
    for number in ("999999", "abc", "", "-1", "1.5", "99999999999999999999", "a/b"):
        place.note(f"get {number}", client.get_experiment, number)
        place.note(f"delete {number}", client.delete_experiment, number)
        place.note(f"restore {number}", client.restore_experiment, number)
        place.note(f"rename {number}", client.rename_experiment, number, "x")
        place.note(f"tag {number}", client.set_experiment_tag, number, "a", "b")
    place.note("name", client.get_experiment_by_name, "no such experiment")


def a_deleted_experiment(client, place: Place):
    made = place.experiment()
    run = place.run(made)
    client.delete_experiment(made)
    place.note("shown", client.get_experiment, made)
    place.note("by name", client.get_experiment_by_name, f"{place.name}-1")
    place.note("run", client.get_run(run).info.lifecycle_stage)
    place.note("again", client.delete_experiment, made)
    place.note("rename", client.rename_experiment, made, "x")
    place.note("tag", client.set_experiment_tag, made, "a", "b")
    place.note("untag", client.delete_experiment_tag, made, "a")
    place.note("run in it", client.create_run, made)
    place.note("same name", client.create_experiment, f"{place.name}-1")
    place.note("log", client.log_metric, run, "a", 1)
    place.note("runs", client.search_runs, [made])
    place.note("restored", client.restore_experiment, made)
    place.note("restored twice", client.restore_experiment, made)
    place.note("run again", client.get_run(run).info.lifecycle_stage)


def renaming(client, place: Place):
    made, other = place.experiment(), place.experiment()
    place.note("new", client.rename_experiment, made, f"{place.name}-new")
    place.note("shown", client.get_experiment(made).name)
    place.note("taken", client.rename_experiment, made, f"{place.name}-2")
    place.note("same", client.rename_experiment, made, f"{place.name}-new")
    place.note("empty", client.rename_experiment, made, "")
    place.note("None", client.rename_experiment, made, None)
    place.note("long", client.rename_experiment, made, "n" * 501)
    client.delete_experiment(other)
    place.note("name of a deleted one", client.rename_experiment, made, f"{place.name}-2")


def experiment_tags(client, place: Place):
    made = place.experiment()
    for label, key, value in (
        ("plain", "a", "1"),
        ("again", "a", "2"),
        ("number", "n", 5),
        ("empty value", "e", ""),
        ("empty key", "", "x"),
        ("dots", "a.b/c d-e:f", "x"),
        ("path", "../up", "x"),
        ("odd", "a\tb", "x"),
        ("key 250", "k" * 250, "x"),
        ("key 251", "k" * 251, "x"),
        ("value 5000", "v", "v" * 5000),
        ("value 5001", "w", "v" * 5001),
        ("value 20001", "z", "v" * 20001),
        ("unicode", "ü", "ü"),
    ):
        place.note(label, client.set_experiment_tag, made, key, value)
    place.note("shown", {key: len(value) for key, value in client.get_experiment(made).tags.items()})
    place.note("remove", client.delete_experiment_tag, made, "a")
    place.note("remove again", client.delete_experiment_tag, made, "a")


def tags_of_a_new_experiment(client, place: Place):
    place.note("bad key", client.create_experiment, f"{place.name}-a", tags={"../x": "1"})
    place.note("long", client.create_experiment, f"{place.name}-b", tags={"k" * 251: "1"})
    place.note("None value", client.create_experiment, f"{place.name}-c", tags={"x": None})


def _names(place: Place, client, **asked):
    return lambda: [found.name for found in client.search_experiments(**asked) if place.name in found.name]


def searching_experiments(client, place: Place):
    for number in range(4):
        client.create_experiment(f"{place.name}-{number}", tags={"n": str(number), "a b": "x"})
    client.delete_experiment(client.get_experiment_by_name(f"{place.name}-3").experiment_id)
    mine = f"name LIKE '{place.name}-%'"
    for filter_string in (
        mine,
        f"name = '{place.name}-1'",
        f"name != '{place.name}-1' AND {mine}",
        f"name ILIKE '{place.name.upper()}-%'",
        f"name LIKE '{place.name.upper()}-%'",
        f"attribute.name = '{place.name}-1'",
        f"attributes.name = '{place.name}-1'",
        f"tags.n = '1' AND {mine}",
        f"tag.n != '1' AND {mine}",
        f"tags.n LIKE '1%' AND {mine}",
        f"tags.n ILIKE '1%' AND {mine}",
        f"tags.`a b` = 'x' AND {mine}",
        f"tags.n IS NULL AND {mine}",
        f"tags.n IS NOT NULL AND {mine}",
        f"creation_time > 5 AND {mine}",
        f"last_update_time >= 5 AND {mine}",
        "name > 'a'",
        "name = 5",
        'name = "x"',
        "creation_time = 'x'",
        "creation_time LIKE 'x'",
        "nothing = 'x'",
        "tags.n > '1'",
        "tags.n = 1",
        "metrics.a > 1",
        "params.a = 'x'",
        "name IN ('a')",
        "name = 'a' OR name = 'b'",
        "name",
        "name =",
        "= 'a'",
        "(name = 'a')",
        "name == 'a'",
        "name = 'a",
        "experiment_id = '0'",
        "experiment_id IN ('0')",
        "lifecycle_stage = 'active'",
    ):
        place.note(filter_string, _names(place, client, filter_string=filter_string, order_by=["name"]))


def ordering_experiments(client, place: Place):
    for name in "bca":
        client.create_experiment(f"{place.name}-{name}")
    mine = f"name LIKE '{place.name}-%'"
    for order in (
        None,
        [],
        ["name"],
        ["name ASC"],
        ["name desc"],
        ["attribute.name DESC"],
        ["creation_time"],
        ["creation_time DESC"],
        ["last_update_time ASC"],
        ["experiment_id"],
        ["experiment_id DESC"],
        ["tags.a"],
        ["foo"],
        ["name foo"],
        ["name ASC DESC"],
        [""],
        ["name", "name DESC"],
        "name",
    ):
        place.note(str(order), _names(place, client, filter_string=mine, order_by=order))


def views_of_experiments(client, place: Place):
    kept, gone = place.experiment(), place.experiment()
    client.delete_experiment(gone)
    assert kept
    mine = f"name LIKE '{place.name}-%'"
    for view in (ViewType.ACTIVE_ONLY, ViewType.DELETED_ONLY, ViewType.ALL, 7):
        place.note(str(view), _names(place, client, filter_string=mine, view_type=view, order_by=["name"]))


def pages_of_experiments(client, place: Place):
    for number in range(5):
        client.create_experiment(f"{place.name}-{number}")
    mine = {"filter_string": f"name LIKE '{place.name}-%'", "order_by": ["name"], "max_results": 2}
    first = client.search_experiments(**mine)
    second = client.search_experiments(**mine, page_token=first.token)
    last = client.search_experiments(**mine, page_token=second.token)
    for label, page in {"first": first, "second": second, "last": last}.items():
        place.note(label, [[each.name for each in page], bool(page.token)])
    for most in (0, -1, 1, 50_000, 50_001, "a", None):
        place.note(f"max_results {most}", lambda most=most: len(client.search_experiments(**{**mine, "max_results": most})))
    for token in ("bad", "", "%%%", "e30=", "MTA="):
        place.note(f"token {token}", lambda token=token: len(client.search_experiments(**mine, page_token=token)))


def the_default_experiment(client, place: Place):
    place.note("zero", client.get_experiment("0").name)
    place.note("name", client.get_experiment_by_name("Default").experiment_id)
    place.note("taken", client.create_experiment, "Default")


def artifact_locations(client, place: Place):
    place.note("own", client.get_experiment(place.experiment()).artifact_location)
    for location in ("../up", "mlflow-artifacts:/../x", "file:///x?a=b", "s3://bucket/x#frag", "runs:/x"):
        place.note(location, lambda at=location: bool(client.create_experiment(f"{place.name}-{at}", artifact_location=at)))
