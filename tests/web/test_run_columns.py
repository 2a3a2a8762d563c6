from hypothesis import given
from hypothesis import strategies as st

from tilth.web.metric_names import charts_of, family, is_system, lower_is_better, ranked
from tilth.web.run_table import (
    Column,
    RunValues,
    automatic_columns,
    column_of,
    columns_from_cookie,
    cookie_of,
    differing_columns,
    lines,
)
from tilth.wire.tracking import RunInfo


def run(run_id: str, **fields: object) -> RunInfo:
    given_fields = {"status": "finished", "started": 1000, "ended": 5000, "last_heartbeat": None, **fields}
    return RunInfo(
        run_id,
        "e",
        "search",
        run_id,
        parent_run_id=None,
        user_id="u",
        user_name="ann",
        source="",
        notes="",
        deleted=False,
        **given_fields,
    )


def test_losses_and_latencies_are_better_when_they_are_lower():
    assert all(lower_is_better(key) for key in ("val_loss", "rmse", "p99_ms", "brier", "log_loss", "Error"))
    assert not any(lower_is_better(key) for key in ("auc", "accuracy", "f1", "r2"))


def test_train_and_validation_of_one_metric_share_a_chart():
    assert charts_of(["train_loss", "val_loss", "lr"]) == {"loss": ["train_loss", "val_loss"], "lr": ["lr"]}
    assert family("validation/auc") == "auc"
    assert family("train") == "train"


def test_scores_on_held_out_data_come_first_and_the_machine_never():
    assert ranked(["train_auc", "lr", "val_loss", "auc", "system/cpu_percent"]) == ["auc", "val_loss", "lr", "train_auc"]
    assert is_system("system/cpu_percent")


def test_automatic_columns_are_telling_metrics_and_params_that_differ():
    values = RunValues(
        metrics={"a": {"auc": 0.7}, "b": {"auc": 0.8}},
        params={"a": {"depth": "3", "rate": "1"}, "b": {"depth": "7", "rate": "1"}},
        tags={},
    )
    columns = automatic_columns(values, ["a", "b"])
    assert [column.key for column in columns] == ["metrics.auc", "params.depth"]
    assert [
        column.key for column in differing_columns([*columns, Column("params.rate", "rate", "param")], values, ["a", "b"])
    ] == [
        "metrics.auc",
        "params.depth",
    ]


def test_automatic_columns_fit_a_screen_however_long_their_names():
    many = {f"a_rather_long_name_of_a_metric_{n}": 0.5 for n in range(30)}
    assert len(automatic_columns(RunValues({"a": many}, {}, {}), ["a"])) <= 3


def test_params_that_read_as_numbers_stand_right_and_missing_values_are_dashes():
    values = RunValues({"a": {"auc": 0.7}, "b": {"auc": 0.9}}, {"a": {"depth": "3"}}, {})
    columns, rows = lines(
        [run("a"), run("b")],
        [Column("metrics.auc", "auc", "metric", True), Column("params.depth", "depth", "param")],
        values,
        {"metrics.auc"},
        9000,
    )
    assert columns[1].numeric
    assert [cell.text for cell in rows[1].cells] == ["0.9000", "–"]
    assert [row.cells[0].css for row in rows] == ["num bar w10", "num bar w100"]


def test_a_lost_run_lasted_until_its_last_heartbeat():
    values = RunValues({}, {}, {})
    _, rows = lines(
        [run("a", status="lost", ended=None, last_heartbeat=3000), run("b", status="running", ended=None)],
        [],
        values,
        set(),
        9000,
    )
    assert [row.duration for row in rows] == [2000, 8000]


@given(
    st.lists(
        st.sampled_from(["metrics.", "params.", "tags."]).flatmap(
            lambda p: st.text(min_size=1, max_size=20).map(lambda t: p + t)
        ),
        max_size=24,
        unique=True,
    )
)
def test_picked_columns_survive_the_cookie(keys):
    if sum(len(key) * 12 for key in keys) < 3500:
        assert [column.key for column in columns_from_cookie(cookie_of(keys))] == keys


@given(st.text(max_size=200))
def test_a_forged_cookie_is_no_error(text):
    assert all(column_of(column.key) is not None for column in columns_from_cookie(text))


def test_a_shortened_param_keeps_its_whole_value_in_the_title():
    values = RunValues(metrics={}, params={"a": {"l2": "33.205156318989815", "features": "hour," * 40}}, tags={})
    columns = [Column("params.l2", "l2", "param"), Column("params.features", "features", "param")]
    _, (line,) = lines([run("a")], columns, values, set(), 6000)
    assert [cell.text for cell in line.cells] == ["33.21", "hour," * 24 + "…"]
    assert [cell.title for cell in line.cells] == ["33.205156318989815", "hour," * 40]


def test_a_param_of_long_texts_gives_way_to_those_that_fit():
    params = {name: {"features": f"{name}, " * 30, "depth": depth} for name, depth in (("a", "3"), ("b", "7"))}
    metrics = {name: dict.fromkeys(("auc", "f1", "recall", "precision", "brier"), 0.5) for name in "ab"}
    columns = automatic_columns(RunValues(metrics, params, {}), ["a", "b"])
    assert [column.name for column in columns if column.kind == "param"] == ["depth"]
