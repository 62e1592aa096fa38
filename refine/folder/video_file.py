"""A track file put together from its parts: read once more, the parts' bodies put in, written in its own format."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from refine.errors import InputError
from refine.estimate.arrays import read_state
from refine.folder.locate import Locator
from refine.folder.manifest import Item, Manifest
from refine.folder.outcome import FAILED, Outcome, whole_file
from refine.folder.settings import Settings
from refine.folder.store import Store
from refine.folder.write import failed, file_names, is_disk_error, part_name


def assemble(manifest: Manifest, settings: Settings, store: Store) -> list[Outcome]:
    """Write the track files whose parts are all committed and that are not there yet.

    Returns:
        One outcome a track file.

    Raises:
        InputError: The disk does not take a file.
    """
    outcomes: list[Outcome] = []
    chunk_of = {item: task.chunk for task in manifest.tasks for item in task.items if item.is_part}
    committed = set(store.chunk_numbers())
    for _, group in groupby(chunk_of, key=lambda item: item.result):
        items = list(group)
        if not all(chunk_of[item] in committed for item in items):
            continue
        parts = [one for item in items for one in store.outcomes(chunk_of[item])]
        name = file_names(replace(items[0], first=0, last=-1), replace(settings, save_npz=False))[0]
        outcome = whole_file(parts, (name,))
        if outcome.status != FAILED and not (store.out / name).is_file():
            try:
                _write(items, [store.parts(chunk_of[item]) for item in items], settings, store, name)
            except Exception as error:
                if is_disk_error(error):
                    raise
                outcome = replace(failed(items[0], error), part=None)
        outcomes.append(outcome)
    return outcomes


def _write(items: Sequence[Item], folders: Sequence[Path], settings: Settings, store: Store, name: str) -> None:
    from refine.formats.find import write

    estimate = Locator(settings).locate(items[0].result).estimate
    for item, folder in zip(items, folders, strict=True):
        path = folder / part_name(item)
        if not path.is_file():  # it failed; its bodies stay as they came
            continue
        with np.load(path, allow_pickle=False) as arrays:
            if "rows" in arrays:
                estimate = estimate.with_rows(torch.from_numpy(arrays["rows"]), read_state(arrays, ""))
    work = store.work_folder("assembled")
    (work / name).parent.mkdir(parents=True, exist_ok=True)
    write(estimate, work / name)
    store.put(name, work / name)
    shutil.rmtree(work)


def forget_assembled(items: Sequence[Item], store: Store) -> None:
    """Delete the track files that parts belong to: they are put together anew from what is now committed.

    Raises:
        InputError: A file cannot be deleted.
    """
    for item in items:
        if item.is_part:
            try:
                (store.out / item.result).unlink(missing_ok=True)
            except OSError as error:
                raise InputError("--out", "files that can be replaced", f"{item.result} ({error})") from error
