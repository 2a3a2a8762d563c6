"""From an empty folder to predictions on one machine, and the same again after a stop."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import start_server
from tests.journeys.steps import (
    alive,
    check_everything_answers,
    check_it_is_sound,
    children_of,
    kept_predictions,
    tilth,
    train_and_deploy,
)


def test_a_program_becomes_a_run_a_model_and_predictions_that_a_restart_keeps(tmp_path: Path) -> None:
    server = start_server(tmp_path / "home")
    try:
        done = train_and_deploy(server)
        check_everything_answers(server, done)
        check_it_is_sound(server)
        before = kept_predictions(server)
        children = children_of(server.process.pid)
        code, _, err = tilth(server, "stop")
        assert code == 0, err
    finally:
        assert server.stop() == 0
    assert not any(alive(pid) for pid in children)
    assert before

    again = start_server(tmp_path / "home")
    try:
        assert again.token == server.token
        check_everything_answers(again, done)
        check_it_is_sound(again)
        assert before.keys() < kept_predictions(again).keys()
    finally:
        again.stop()
