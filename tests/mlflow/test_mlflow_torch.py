"""Autologging of PyTorch Lightning, and a torch model that is logged and loaded. torch is in requirements/torch.txt alone."""

from __future__ import annotations

import warnings

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torch", reason="torch is not installed: pip install -r requirements/torch.txt")


@pytest.fixture
def points(torch):
    rows = torch.linspace(-1, 1, 32).reshape(-1, 1)
    return torch.utils.data.TensorDataset(rows, 2 * rows)


def line_module(torch, lightning):
    class Line(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def forward(self, rows):
            return self.layer(rows)

        def training_step(self, batch, index):
            rows, target = batch
            loss = torch.nn.functional.mse_loss(self(rows), target)
            self.log("loss", loss, on_epoch=True)
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    return Line()


def test_lightning_logs_its_curve_its_optimizer_and_its_model(mlflow, ml, torch, points, tmp_path):
    lightning = pytest.importorskip("lightning", reason="lightning is not installed: pip install -r requirements/torch.txt")
    model = line_module(torch, lightning)
    mlflow.pytorch.autolog(silent=True)
    try:
        trainer = lightning.Trainer(
            max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        with mlflow.start_run() as active:
            trainer.fit(model, torch.utils.data.DataLoader(points, batch_size=8))
    finally:
        mlflow.pytorch.autolog(disable=True)
    run = ml.get_run(active.info.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer_name"] == "SGD"
    assert run.data.params["epochs"] == "3"
    assert len(ml.get_metric_history(active.info.run_id, "loss_epoch")) == 3
    back = mlflow.pytorch.load_model(f"runs:/{active.info.run_id}/model")
    rows = points.tensors[0]
    assert torch.allclose(back(rows), model(rows))


def test_a_torch_model_is_registered_and_predicts_after_loading(mlflow, torch, points):
    model = torch.nn.Linear(1, 1)
    with mlflow.start_run():
        mlflow.pytorch.log_model(
            model, name="model", registered_model_name="torch line", pip_requirements=["torch"], serialization_format="pickle"
        )
    rows = points.tensors[0]
    back = mlflow.pytorch.load_model("models:/torch line/1")
    assert torch.equal(back(rows), model(rows))
