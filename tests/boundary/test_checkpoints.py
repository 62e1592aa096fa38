"""Checkpoints, which torch's own loader used to read: tensors come back as they were, and nothing in the file runs."""

import ast
import os
import pickle
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import displacement_net
import priors
import refine
from displacement_net.model import DisplacementNet, Settings
from displacement_net.training.checkpoints import Progress as TrainingProgress
from displacement_net.training.checkpoints import load_checkpoint, save_checkpoint
from priors.latent_file import read_latent
from priors.learning.autoencoder import Settings as Learning
from priors.learning.checkpoint import Checkpoint
from refine.errors import InputError
from refine.files.checkpoint import read_checkpoint, read_weights

LAYOUTS = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


class Runs:
    """Pickles as a call that leaves a file behind."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.canary}",))


class Schedule(list[int]):
    """A class of a trainer, with items and attributes of its own."""

    def __init__(self) -> None:
        super().__init__([1, 2])
        self.name = "warm-up"


def state() -> dict[str, Any]:
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2).double())
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    network.double()(torch.ones(2, 3, dtype=torch.float64)).sum().backward()
    optimizer.step()
    return {
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": 7,
        "name": "x",
        "half": torch.ones(2).half(),
    }


def assert_same(read: Any, written: Any) -> None:
    if isinstance(written, torch.Tensor):
        assert isinstance(read, torch.Tensor) and read.dtype == written.dtype and torch.equal(read, written)
    elif isinstance(written, dict):
        assert list(read) == list(written)
        for key, item in written.items():
            assert_same(read[key], item)
    elif isinstance(written, list | tuple):
        assert type(read) is type(written) and len(read) == len(written)
        for one, other in zip(read, written, strict=True):
            assert_same(one, other)
    else:
        assert read == written


@LAYOUTS
def test_a_training_comes_back_as_torch_would_read_it(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(state(), path, _use_new_zipfile_serialization=zipped)
    assert_same(read_checkpoint(path), torch.load(path, weights_only=True))


@LAYOUTS
def test_weights_are_read_around_what_the_trainer_put_beside_them(zipped: bool, tmp_path: Path) -> None:
    weights = OrderedDict(
        a=torch.randn(2, 3), b=torch.nn.Parameter(torch.randn(3)), c=torch.tensor(3), d=torch.randn(3, 2).T
    )
    beside = {
        "callbacks": {Schedule: Schedule()},
        "hyper_parameters": Namespace(rate=1.0),
        "epoch": 3,
        "path": tmp_path,
    }
    canary, path = tmp_path / "canary", tmp_path / "last.ckpt"
    torch.save({"state_dict": weights, **beside, "run": Runs(canary)}, path, _use_new_zipfile_serialization=zipped)
    read = read_weights(path)
    assert list(read) == ["a", "b", "d"] and all(torch.equal(read[name], weights[name]) for name in read)
    assert not canary.exists()


def test_what_was_computed_in_bfloat16_is_read_as_it_was(tmp_path: Path) -> None:
    values = torch.randn(50).bfloat16()
    torch.save({"x": values}, tmp_path / "x.pt")
    assert torch.equal(read_weights(tmp_path / "x.pt")["x"], values.float())


def test_tensors_of_types_that_no_weight_has_are_left_out(tmp_path: Path) -> None:
    content = {
        "w": torch.ones(3),
        "small": torch.ones(3).to(torch.float8_e4m3fn),
        "count": torch.ones(3, dtype=torch.uint16),
    }
    torch.save({"state_dict": content}, tmp_path / "x.pt")
    assert list(read_weights(tmp_path / "x.pt")) == ["w"]


def training(path: Path) -> object:
    network = DisplacementNet(Settings())
    return load_checkpoint(path.parent, network, network, torch.optim.SGD(network.parameters()))


DOORS: dict[str, Callable[[Path], object]] = {
    "checkpoint": read_checkpoint,
    "weights": read_weights,
    "prior": read_latent,
    "a training's": training,
    "a learning's": lambda path: Checkpoint(path, Learning(), np.zeros(3)).load(),
}


@LAYOUTS
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("place", ["everything", "a weight", "beside"])
def test_a_hostile_checkpoint_runs_nothing_and_is_refused(door: str, place: str, zipped: bool, tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "checkpoint.pt"
    runs = Runs(canary)
    content: Any = {
        "everything": runs,
        "a weight": {"state_dict": {"w": runs}},
        "beside": {"version": 1, "belongs": runs},
    }[place]
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(InputError):
        DOORS[door](path)
    assert not canary.exists()


def test_these_checkpoints_do_run_where_they_are_unpickled(tmp_path: Path) -> None:
    torch.save(Runs(tmp_path / "canary"), tmp_path / "x.pt")
    torch.load(tmp_path / "x.pt", weights_only=False)
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("door", DOORS)
def test_a_checkpoint_cut_anywhere_or_no_checkpoint_is_refused(door: str, tmp_path: Path) -> None:
    whole = tmp_path / "whole.pt"
    for zipped in (True, False):
        torch.save(state(), whole, _use_new_zipfile_serialization=zipped)
        data = whole.read_bytes()
        for length in (0, 1, 20, len(data) // 2, len(data) - 1):
            (tmp_path / "checkpoint.pt").write_bytes(data[:length])
            with pytest.raises(InputError):
                DOORS[door](tmp_path / "checkpoint.pt")
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(InputError):
        DOORS[door](tmp_path / "checkpoint.pt")


def test_a_run_goes_on_from_its_own_checkpoint(tmp_path: Path) -> None:
    network = DisplacementNet(Settings())
    optimizer = torch.optim.AdamW(network.parameters())
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    save_checkpoint(tmp_path, network, network, optimizer, TrainingProgress(3, 24, 1.5))
    other = DisplacementNet(Settings())
    fresh = torch.optim.AdamW(other.parameters())
    assert load_checkpoint(tmp_path, other, DisplacementNet(Settings()), fresh) == TrainingProgress(3, 24, 1.5)
    assert_same(dict(other.state_dict()), dict(network.state_dict()))
    assert_same(fresh.state_dict(), optimizer.state_dict())


UNSAFE = {
    ("torch", "load"), ("pickle", "load"), ("pickle", "loads"), ("pickle", "Unpickler"), ("joblib", "load"), ("dill", "load"),  # noqa: E501
    ("marshal", "loads"), ("shelve", "open"), ("yaml", "load"),
}  # fmt: skip


def test_nothing_in_the_packages_unpickles_by_another_machine() -> None:
    for package in (refine, displacement_net, priors):
        for path in Path(str(package.__file__)).parent.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    assert (node.value.id, node.attr) not in UNSAFE, f"{path}:{node.lineno}"
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in ("load", "read_array")
                ):
                    allowed = [word.value for word in node.keywords if word.arg == "allow_pickle"]
                    assert all(isinstance(value, ast.Constant) and value.value is False for value in allowed), (
                        f"{path}:{node.lineno}"
                    )
