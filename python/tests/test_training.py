"""python3 -m unittest discover -s python/tests"""

import json
import os
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))

from fogproof_train import Training, TrainingError, training  # noqa: E402


def save(text):
    return lambda folder: (folder / "state.txt").write_text(text)


class Outside(unittest.TestCase):
    """Without a node: plain folders."""

    def setUp(self):
        self._home = tempfile.TemporaryDirectory()
        self._before = os.getcwd()
        os.chdir(self._home.name)

    def tearDown(self):
        os.chdir(self._before)
        self._home.cleanup()

    def test_begins_at_the_beginning_and_goes_on_where_it_was(self):
        with training() as t:
            self.assertEqual((t.round, t.restored, t.is_job, t.should_pause), (0, None, False, False))
            self.assertTrue(t.checkpoint(1, save("one")))
            self.assertTrue(t.checkpoint(2, save("two")))
            self.assertEqual((t.restored / "state.txt").read_text(), "two")
        with training() as t:
            self.assertEqual(t.round, 2)
            self.assertEqual((t.restored / "state.txt").read_text(), "two")
        self.assertEqual(sorted(os.listdir("checkpoint")), ["2", "ROUND"])

    def test_a_save_that_fails_leaves_the_checkpoint_before(self):
        def fails(folder):
            (folder / "half").write_text("x")
            raise RuntimeError("no")

        with training() as t:
            t.checkpoint(1, save("one"))
            with self.assertRaises(RuntimeError):
                t.checkpoint(2, fails)
        with training() as t:
            self.assertEqual((t.round, os.listdir(t.restored)), (1, ["state.txt"]))
        self.assertEqual(sorted(os.listdir("checkpoint")), ["1", "ROUND"])

    def test_copies_a_file_or_a_folder(self):
        Path("weights.bin").write_bytes(b"w")
        os.mkdir("many")
        Path("many/a").write_text("a")
        with training() as t:
            t.checkpoint(1, "weights.bin")
            self.assertEqual(os.listdir(t.restored), ["weights.bin"])
            t.checkpoint(2, Path("many"))
            self.assertEqual(os.listdir(t.restored), ["a"])
            t.checkpoint(3)
            self.assertEqual(os.listdir(t.restored), [])

    def test_leaves_what_others_put_into_its_folder(self):
        os.mkdir("checkpoint")
        Path("checkpoint/notes.txt").write_text("mine")
        with training() as t:
            t.checkpoint(1, save("one"))
        self.assertEqual(Path("checkpoint/notes.txt").read_text(), "mine")

    def test_writes_metrics_a_line_each(self):
        with training() as t:
            t.metric("loss", 0.5)
            t.checkpoint(1)
            t.metrics({"loss": float("nan"), "accuracy": 1}, step=7)
        lines = [json.loads(line) for line in Path("metrics.jsonl").read_text().splitlines()]
        self.assertEqual(lines, [{"step": 1, "loss": 0.5}, {"step": 7, "loss": "NaN", "accuracy": 1.0}])

    def test_refuses_what_the_node_would(self):
        with training() as t:
            t.checkpoint(3)
            for wrong in (3, 2, 0, -1, 1.5, True, "4", 10**15):
                with self.assertRaises(TrainingError):
                    t.checkpoint(wrong)
            for name, step in (("", 1), ("step", 1), ("x" * 129, 1), ("x", -1), ("x", 0.5)):
                with self.assertRaises(TrainingError):
                    t.metric(name, 1.0, step)
        Path("checkpoint/ROUND").write_text("seven")
        with self.assertRaises(TrainingError):
            training()


class AsJob(unittest.TestCase):
    """With somebody who does what a node does."""

    def setUp(self):
        self._home = tempfile.TemporaryDirectory()
        self.checkpoint = Path(self._home.name) / "checkpoint"
        self.control = Path(self._home.name) / "fogproof"
        self.control.mkdir()
        (self.control / "taken").write_text("0".ljust(15) + "\n")
        (self.control / "pause").write_text("0".ljust(15) + "\n")

    def tearDown(self):
        self._home.cleanup()

    def open(self, every=1):
        return Training(self.checkpoint, self.control / "metrics.jsonl", control=self.control, every=every)

    def take(self, round):
        (self.control / "taken").write_text(str(round).ljust(15) + "\n")

    def test_waits_until_its_checkpoint_is_taken(self):
        t = self.open()
        seen = []

        def node():
            while not (self.checkpoint / "ROUND").exists():
                time.sleep(0.001)
            seen.append((self.checkpoint / "1/state.txt").read_text())
            self.take(1)

        other = threading.Thread(target=node)
        other.start()
        self.assertTrue(t.checkpoint(1, save("one")))
        other.join()
        self.assertEqual(seen, ["one"])

    def test_saves_nothing_for_a_round_that_is_not_wanted(self):
        t = self.open(every=3)
        self.take(99)
        kept = [round for round in range(1, 11) if t.checkpoint(round, save(str(round)))]
        self.assertEqual(kept, [3, 6, 9])
        self.assertEqual((t.restored / "state.txt").read_text(), "9")
        self.assertEqual(t.round, 10)

    def test_holds_one_checkpoint_when_it_reports(self):
        t = self.open()
        self.take(99)
        t.checkpoint(1, save("one"))
        t.checkpoint(2, save("two"))
        self.assertEqual(sorted(os.listdir(self.checkpoint)), ["2", "ROUND"])
        again = self.open()
        self.assertEqual((again.round, (again.restored / "state.txt").read_text()), (2, "two"))

    def test_hears_of_a_pause(self):
        t = self.open()
        self.assertFalse(t.should_pause)
        (self.control / "pause").write_text("1".ljust(15) + "\n")
        self.assertTrue(t.should_pause)

    def test_goes_on_where_there_is_no_room_for_metrics(self):
        t = self.open()
        os.mkdir(self.control / "metrics.jsonl")
        t.metric("loss", 1.0)

    def test_knows_a_job_by_its_environment(self):
        os.environ["FOGPROOF_ROUND"] = "0"
        os.environ["FOGPROOF_EVERY"] = "0"
        try:
            with self.assertRaises(TrainingError):
                training()
        finally:
            del os.environ["FOGPROOF_ROUND"], os.environ["FOGPROOF_EVERY"]


if __name__ == "__main__":
    unittest.main()
