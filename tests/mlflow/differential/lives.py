"""How runs and experiments live: later writes, parents, ends, deletion and return."""

from __future__ import annotations

from mlflow.entities import Metric, Param, RunStatus, RunTag, ViewType
from tests.mlflow.differential.place import Place


def writing_in_the_background(client, place: Place):
    run = place.run()
    waiting = [
        client.log_metric(run, "m", 1.5, timestamp=1, step=2, synchronous=False),
        client.log_param(run, "p", "x", synchronous=False),
        client.set_tag(run, "t", "y", synchronous=False),
        client.log_batch(run, [Metric("n", 2.0, 1, 0)], [Param("q", "z")], [RunTag("u", "v")], synchronous=False),
    ]
    for each in waiting:
        each.wait()
    place.note("shown", client.get_run(run).data)


def a_run_of_a_deleted_experiment(client, place: Place):
    experiment = place.experiment()
    run = place.run(experiment)
    client.delete_experiment(experiment)
    place.note("param", client.log_param, run, "p", 1)
    place.note("tag", client.set_tag, run, "t", 1)
    place.note("end", client.set_terminated, run)
    place.note("shown", client.get_run(run).info.lifecycle_stage)
    place.note("found when all are asked for", len(client.search_runs([experiment], run_view_type=ViewType.ALL)))


def a_run_deleted_before_its_experiment(client, place: Place):
    experiment = place.experiment()
    early, late = place.run(experiment), place.run(experiment)
    client.delete_run(early)
    client.delete_experiment(experiment)
    client.restore_experiment(experiment)
    place.note("early", client.get_run(early).info.lifecycle_stage)
    place.note("late", client.get_run(late).info.lifecycle_stage)


def deleting_a_parent(client, place: Place):
    experiment = place.experiment()
    parent = place.run(experiment)
    child = place.run(experiment, tags={"mlflow.parentRunId": parent})
    client.delete_run(parent)
    place.note("child", client.get_run(child).info.lifecycle_stage)
    place.note("tag", client.get_run(child).data.tags["mlflow.parentRunId"])
    place.note("parent", client.get_parent_run(child).info.lifecycle_stage)


def ending_without_a_moment(client, place: Place):
    run = place.run()
    client.set_terminated(run)
    place.note("end", client.get_run(run).info.end_time > 10**12)
    place.note("status", client.get_run(run).info.status)
    for number in (RunStatus.FAILED, RunStatus.KILLED, RunStatus.FINISHED):
        place.note(f"{number}", client.update_run, run, RunStatus.to_string(number))
        place.note(f"{number}: shown", client.get_run(run).info.status)


def long_texts_of_every_alphabet(client, place: Place):
    run = place.run()
    client.log_param(run, "p", "ü" * 6000)
    client.set_tag(run, "t", "🌍" * 2000)
    shown = client.get_run(run).data
    place.note("lengths", [len(shown.params["p"]), len(shown.tags["t"])])
    place.note("quotes", client.log_param, run, "q", "'\"`\\")
    place.note("quotes: shown", client.get_run(run).data.params["q"])


def points_that_come_late(client, place: Place):
    run = place.run()
    for step, moment in ((5, 50), (1, 10), (3, 30), (3, 20), (5, 40)):
        client.log_metric(run, "m", float(step), timestamp=moment, step=step)
    place.note("history", [[point.step, point.timestamp] for point in client.get_metric_history(run, "m")])
    place.note("last", client.get_run(run).data.metrics["m"])


def the_same_tag_again_and_again(client, place: Place):
    run = place.run()
    for value in ("1", "2", "3"):
        client.log_batch(run, tags=[RunTag("t", value), RunTag(f"t{value}", value)])
    place.note("shown", client.get_run(run).data.tags)
    client.delete_tag(run, "t")
    place.note("without", sorted(client.get_run(run).data.tags))
    client.set_tag(run, "t", "again")
    place.note("again", client.get_run(run).data.tags["t"])


def several_terms_on_one_key(client, place: Place):
    experiment = place.experiment()
    for number in range(4):
        run = place.run(experiment, run_name=f"r{number}", start_time=number)
        client.log_batch(run, [Metric("m", float(number), 1, 0)], [Param("p", f"v{number}")], [RunTag("t", f"x{number}")])
    for text in (
        "metrics.m > 0 AND metrics.m < 3 AND metrics.m != 2",
        "params.p LIKE 'v%' AND params.p != 'v0' AND params.p != 'v1'",
        "tags.t LIKE 'x%' AND tags.t ILIKE '%2'",
        "metrics.m >= 1 AND params.p LIKE 'v%' AND tags.t != 'x1' AND attributes.start_time <= 2",
        "params.p = 'v1' AND params.p = 'v2'",
        "run_name LIKE 'r%' AND run_name != 'r0' AND status = 'RUNNING'",
    ):
        place.note(
            text, lambda text=text: [r.info.run_name for r in client.search_runs([experiment], text, order_by=["run_name"])]
        )


def marks_of_patterns(client, place: Place):
    experiment = place.experiment()
    for name in ("100%", "100x", "a_b", "axb", "back\\slash", "[ab]", "star*", "Ünï"):
        client.log_param(place.run(experiment), "p", name)
    for pattern in ("100%", "a_b", "%\\%", "back\\%", "[ab]", "star*", "%", "_", "", "ünï", "ÜNÏ", "%x%", "A_B"):
        for operator in ("LIKE", "ILIKE"):
            text = f"params.p {operator} '{pattern}'"
            place.note(text, lambda text=text: sorted(r.data.params["p"] for r in client.search_runs([experiment], text)))


def tags_of_experiments_in_filters(client, place: Place):
    for number in range(3):
        client.create_experiment(f"{place.name}-{number}", tags={"team": f"T{number}", "kind": "x"})
    for text in (
        "tags.team = 'T1' AND tags.kind = 'x'",
        "tags.team LIKE 'T%' AND tags.team != 'T0'",
        "tags.`team` ILIKE 't2'",
        "tag.team = 'T1'",
        "tags.none = 'x'",
        f"tags.team = 'T0' AND name = '{place.name}-0'",
    ):
        place.note(text, lambda text=text: sorted(e.name for e in client.search_experiments(filter_string=text)))


def pages_of_everything_in_a_view(client, place: Place):
    experiment = place.experiment()
    for number in range(5):
        run = place.run(experiment, run_name=f"r{number}", start_time=number)
        if number % 2:
            client.delete_run(run)
    token, names = None, []
    for _ in range(5):
        page = client.search_runs(
            [experiment], run_view_type=ViewType.ALL, max_results=2, page_token=token, order_by=["run_name"]
        )
        names.append([run.info.run_name for run in page])
        token = page.token
        if not token:
            break
    place.note("pages", names)


def equal_values_over_pages(client, place: Place):
    """Nothing twice and nothing lost where the order says nothing."""
    experiment = place.experiment()
    made = [place.run(experiment, start_time=1) for _ in range(7)]
    for run in made[:4]:
        client.log_metric(run, "m", 1.0, timestamp=1)
    token, seen = None, []
    for _ in range(7):
        page = client.search_runs([experiment], order_by=["metrics.m DESC"], max_results=2, page_token=token)
        seen += [run.info.run_id for run in page]
        token = page.token
        if not token:
            break
    place.note("all", sorted(seen) == sorted(made))
    place.note("those with a value first", set(seen[:4]) == set(made[:4]))
