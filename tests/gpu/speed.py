"""Speeds on this machine's CUDA device: `python -m tests.gpu.speed`; one line a figure on standard output.

How many samples a second the generator makes, how long a training step and a question to the network take. Without a
device it says so and ends with status 3. Needs the environment's REFINE_TRAINING_BODY (see docs/network.md) and
REFINE_ASSETS.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from displacement_net.loss import loss
from displacement_net.model import DisplacementNet, Settings, fold
from displacement_net.training.batches import batch_of
from displacement_net.training.sources import make_people
from displacement_net.trunk import LITE0
from refine.errors import InputError

WANTED = 2000
"""Samples a second above which a training on the device is worth its time."""
SHIPPED = Settings(correlation_radius=4, texture_radius=4)
TRUNK = replace(
    SHIPPED, widths=(32, 64, 128, 192, 256), correlation_features=64, trunk=LITE0, fine_radius=3
)  # as in train.sh


def seconds(work: Callable[[], object], times: int = 7) -> float:
    """Return the median time of some work on the device, after one that is not counted."""
    told = []
    for _ in range(times + 1):
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        told.append(time.perf_counter() - start)
    return statistics.median(told[1:])


def main() -> int:
    """Measure and print."""
    if not torch.cuda.is_available():
        print("There is no CUDA device.", file=sys.stderr)
        return 3
    place = os.environ.get("REFINE_TRAINING_BODY")
    if not place:
        raise InputError("REFINE_TRAINING_BODY", "the full base mesh's file", "nothing", "See docs/network.md.")
    assets = Path(os.environ.get("REFINE_ASSETS", "../shared/assets"))
    people = make_people(Path(place), assets, 128, "cuda", False, rasterizer="scatter")
    seeds = iter(range(1000))
    print(f"device: {torch.cuda.get_device_name()}")
    for count in (128, 768):
        rate = count / seconds(lambda count=count: people.batch(next(seeds), count))  # type: ignore[misc]
        print(
            f"samples of 128 px in lots of {count}: {rate:.0f} /s in one process (mirror images not counted; wanted {WANTED})"  # noqa: E501
        )
    batch = batch_of(people.batch(0, 128))
    for name, settings in (("without a trunk", SHIPPED), ("on the trunk", TRUNK)):
        network = DisplacementNet(settings).cuda().train()

        def step(network: DisplacementNet = network) -> None:
            with torch.autocast("cuda", dtype=torch.bfloat16):
                loss(network(batch.channels), batch.truth).total.backward()
            network.zero_grad()

        print(f"{name}, forward and backward of 128 crops of 128 px: {1e3 * seconds(step):.1f} ms")
        asked = fold(network)
        with torch.no_grad():
            one = batch.channels[:1]
            print(f"{name}, one person: {1e3 * seconds(lambda asked=asked, one=one: asked(one)):.2f} ms")  # type: ignore[misc]
    return 0


if __name__ == "__main__":
    sys.exit(main())
