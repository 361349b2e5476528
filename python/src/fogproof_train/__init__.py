"""Checkpoints, metrics, pause and resume for a training program.

    from fogproof_train import training

    with training() as t:
        model = load(t.restored / "model.bin") if t.restored else Model()
        for round in range(t.round + 1, 101):
            t.metric("loss", model.train())
            t.checkpoint(round, lambda folder: model.save(folder / "model.bin"))

As a Fogproof job with ``checkpoints: { everyRounds: 1 }`` the program can be paused, moved to another machine and go on; what is
agreed between it and its node stands in docs/training.md. Anywhere else the same lines keep the checkpoint in ``./checkpoint``, so a
program that was killed goes on there too, and metrics in ``./metrics.jsonl``.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Callable, Mapping, Optional, Type, Union

__all__ = ["Training", "TrainingError", "training"]

Save = Union[Callable[[Path], object], str, "os.PathLike[str]"]

_ROUND = "ROUND"
_NEW = ".new"
#: As the node reads it: up to 15 digits.
_MAX_ROUND = 10**15 - 1
_MAX_NAME_BYTES = 128
_FIRST_WAIT_S = 0.002
_LONGEST_WAIT_S = 0.02


class TrainingError(Exception):
    """The program uses this wrongly, or its checkpoint folder is not one that this made."""


def training(checkpoint: Optional[str] = None, metrics: Optional[str] = None) -> "Training":
    """Where the program stands. Outside of Fogproof `checkpoint` is the folder that is used (default ``./checkpoint``) and `metrics` the
    file of metrics (default ``./metrics.jsonl``); as a job both are where the node looks, whatever is given here."""
    if "FOGPROOF_ROUND" in os.environ:
        every = int(os.environ.get("FOGPROOF_EVERY", "1"))
        return Training(Path("/checkpoint"), Path("/fogproof/metrics.jsonl"), control=Path("/fogproof"), every=every)
    return Training(Path(checkpoint or "checkpoint"), Path(metrics or "metrics.jsonl"))


class Training:
    """One run of a training program. Use it from one process; of several workers the first one."""

    def __init__(self, checkpoint: Path, metrics: Path, control: Optional[Path] = None, every: int = 1) -> None:
        if every < 1:
            raise TrainingError(f"checkpoints at every {every} rounds are none")
        self._folder = checkpoint
        self._metrics = metrics
        self._control = control
        self._every = every
        self._folder.mkdir(parents=True, exist_ok=True)
        self._round = self._read_round()
        self._last_kept = self._round
        if control is None:
            self._remove_others()

    def __enter__(self) -> "Training":
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        return None

    @property
    def round(self) -> int:
        """The last round that is over: 0 at the beginning, else that of the checkpoint that the program goes on from."""
        return self._round

    @property
    def restored(self) -> Optional[Path]:
        """The folder with what was saved after `round`; None where nothing was. Do not write to it."""
        folder = self._folder / str(self._last_kept)
        return folder if self._last_kept > 0 and folder.is_dir() else None

    @property
    def is_job(self) -> bool:
        """True if a Fogproof node looks after this run."""
        return self._control is not None

    @property
    def should_pause(self) -> bool:
        """True once the node wants to halt the program at its next checkpoint. There is no need to look: a program that makes a checkpoint
        only now and then can make the next one sooner."""
        return self._read_control("pause") == 1

    def is_due(self, round: int) -> bool:
        """True if a checkpoint of this round would be kept: of a job with ``everyRounds: 10`` one in ten is."""
        return round >= (self._last_kept // self._every + 1) * self._every

    def metric(self, name: str, value: float, step: Optional[int] = None) -> None:
        """A number for people to follow, such as the loss; `step` is the round under way if it is left out."""
        self.metrics({name: value}, step)

    def metrics(self, values: Mapping[str, float], step: Optional[int] = None) -> None:
        """Several numbers of one step."""
        at = self._round + 1 if step is None else step
        if isinstance(at, bool) or not isinstance(at, int) or at < 0:
            raise TrainingError(f"a step is a whole number from 0 on, not {at!r}")
        line: "dict[str, object]" = {"step": at}
        for name, value in values.items():
            if name in ("", "step") or len(name.encode("utf-8")) > _MAX_NAME_BYTES:
                raise TrainingError(f"{name!r} is no name of a metric")
            line[name] = _describe(float(value))
        text = json.dumps(line, separators=(",", ":")) + "\n"
        try:
            with open(self._metrics, "a", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            # The room for metrics is used up: no reason to end what has trained for days.
            if self._control is None:
                raise

    def checkpoint(self, round: int, save: Optional[Save] = None) -> bool:
        """The round is over. What it takes to go on is saved by `save`: a function that is given an empty folder to write to, or the path
        of a file or folder that is copied. Returns once it is kept, and the program may go on; False if this round's is not wanted
        (`is_due`) and `save` was not called."""
        if isinstance(round, bool) or not isinstance(round, int) or not self._round < round <= _MAX_ROUND:
            raise TrainingError(f"round {round!r} cannot follow on round {self._round}")
        if not self.is_due(round):
            self._round = round
            return False
        self._save(round, save)
        if self._control is not None:
            # A node keeps the checkpoint before this one elsewhere: it need not be kept twice.
            self._remove_others(round)
            self._report(round)
            self._wait(round)
        else:
            _sync(self._folder / str(round))
            self._report(round)
        self._round = self._last_kept = round
        self._remove_others()
        return True

    def _save(self, round: int, save: Optional[Save]) -> None:
        new = self._folder / _NEW
        _remove(new)
        new.mkdir()
        if callable(save):
            save(new)
        elif save is not None:
            source = Path(save)
            if source.is_dir():
                shutil.copytree(source, new, dirs_exist_ok=True)
            else:
                shutil.copy2(source, new / source.name)
        place = self._folder / str(round)
        _remove(place)
        os.replace(new, place)

    def _report(self, round: int) -> None:
        temporary = self._folder / ".round"
        with open(temporary, "w", encoding="ascii") as file:
            file.write(f"{round}\n")
            if self._control is None:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, self._folder / _ROUND)

    def _wait(self, round: int) -> None:
        wait_s = _FIRST_WAIT_S
        while True:
            taken = self._read_control("taken")
            if taken is None or taken >= round:
                return
            time.sleep(wait_s)
            wait_s = min(wait_s * 1.5, _LONGEST_WAIT_S)

    def _read_control(self, name: str) -> Optional[int]:
        if self._control is None:
            return None
        try:
            text = (self._control / name).read_text(encoding="ascii").strip()
        except OSError:
            return None
        return int(text) if text.isdigit() else 0

    def _read_round(self) -> int:
        try:
            text = (self._folder / _ROUND).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return 0
        if not text.isdigit():
            raise TrainingError(f"{self._folder / _ROUND} holds {text[:40]!r} and no round: is it of another program?")
        return int(text)

    def _remove_others(self, kept: Optional[int] = None) -> None:
        """What older rounds, or one that was never finished, have left. What others put there stays."""
        keep = self._last_kept if kept is None else kept
        for entry in list(self._folder.iterdir()):
            if entry.name == _NEW or (entry.name.isdigit() and entry.is_dir() and entry.name != str(keep)):
                _remove(entry)


def _describe(value: float) -> object:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    elif place.exists() or place.is_symlink():
        place.unlink()


def _sync(folder: Path) -> None:
    """On disk before the round is reported: a machine that loses power has the old checkpoint or the new one."""
    for base, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(os.path.join(base, name), os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
