"""Model folders on the worker's machine: whole or absent, and gone once nobody wants them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tilth.core import clock
from tilth.core.errors import TilthError
from tilth.core.hashing import Manifest
from tilth.plane.cache import UNUSED_FOR, ArtifactDamaged, ModelCache
from tilth.plane.fetching import ControlUnreachable, ModelSource
from tilth.wire.plane import ModelFile, PlaneVersion


@pytest.fixture
def source(file_server: Any, tmp_path: Path) -> ModelSource:
    (tmp_path / "token").write_text("worker-secret\n")
    return ModelSource(file_server.url, tmp_path / "token")


def test_only_folders_that_nobody_wants_for_an_hour_are_removed(tmp_path: Path, models: Any, source: ModelSource) -> None:
    cache = ModelCache(tmp_path / "cache")
    first, second = (cache.folder_of(model.version(number), source) for number, model in enumerate(models, 1))
    wanted = {models[0].manifest.digest}
    soon, later = clock.now(), clock.Millis(clock.now() + UNUSED_FOR + clock.MINUTE)
    cache.prune(wanted, soon)
    assert first.is_dir()
    assert second.is_dir()
    cache.prune(wanted, later)
    assert first.is_dir()
    assert not second.exists()


@pytest.mark.parametrize("harm", ["changed", "added", "removed", "linked"])
def test_a_damaged_folder_is_thrown_away_and_fetched_anew(
    tmp_path: Path, models: Any, file_server: Any, source: ModelSource, harm: str
) -> None:
    cache = ModelCache(tmp_path / "cache")
    place = cache.folder_of(models[0].version(1), source)
    fetched = file_server.requests
    target = place / models[0].manifest.files[0].path
    match harm:
        case "changed":
            target.write_bytes(target.read_bytes()[:-1] + b"?")
        case "added":
            (place / "sitecustomize.py").write_text("raise SystemExit")
        case "removed":
            target.unlink()
        case "linked":
            (place / "elsewhere").symlink_to("/etc")
    assert Manifest.of_folder(cache.folder_of(models[0].version(1), source)) == models[0].manifest
    assert not (place / "elsewhere").is_symlink()
    assert file_server.requests == 2 * fetched
    cache.folder_of(models[0].version(1), source)
    assert file_server.requests == 2 * fetched


def test_a_fetch_that_fails_leaves_nothing_behind(tmp_path: Path, models: Any, file_server: Any, source: ModelSource) -> None:
    cache = ModelCache(tmp_path / "cache")
    file_server.broken = True
    with pytest.raises(ArtifactDamaged, match="does not have the bytes"):
        cache.folder_of(models[0].version(1), source)
    assert [name for name in os.listdir(tmp_path / "cache") if not name.startswith(".lock")] == []


def test_a_worker_whose_token_is_refused_says_what_it_was_told(tmp_path: Path, models: Any, source: ModelSource) -> None:
    cache = ModelCache(tmp_path / "cache")
    (tmp_path / "token").write_text("wrong")
    with pytest.raises(ControlUnreachable, match="answered 401"):
        cache.folder_of(models[0].version(1), source)
    (tmp_path / "token").unlink()
    with pytest.raises(ControlUnreachable, match="token cannot be read"):
        cache.folder_of(models[0].version(1), source)


@pytest.mark.parametrize("path", ["../evil", "/etc/passwd", "a/../../b", "a\\b", ""])
def test_a_path_that_climbs_is_never_written(tmp_path: Path, source: ModelSource, path: str) -> None:
    version = PlaneVersion("m", 1, "m-1", "0" * 64, (ModelFile(path, "0" * 64, 1),))
    with pytest.raises(TilthError, match="not allowed"):
        ModelCache(tmp_path / "cache").folder_of(version, source)


def test_a_list_of_files_that_was_not_sealed_so_is_refused(tmp_path: Path, models: Any, source: ModelSource) -> None:
    good = models[0].version(1)
    version = PlaneVersion(good.model, 1, good.logged_model_id, good.manifest_digest, good.files[1:])
    with pytest.raises(ArtifactDamaged, match="digest it was sealed with"):
        ModelCache(tmp_path / "cache").folder_of(version, source)
