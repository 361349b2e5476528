"""Tells two spirals apart: a network with one hidden layer, in plain Python.

python3 spiral.py ROUNDS        # as a job, or anywhere: then it keeps ./checkpoint and writes ./model.json

Sums are in one order and the samples of a round follow from its number, so a run that was interrupted ends with the same bytes.
"""

import json
import math
import random
import sys
from pathlib import Path

from fogproof_train import training

HIDDEN = 12
SAMPLES = 120
RATE = 0.15


def draw(generator):
    side = generator.randrange(2)
    angle = generator.random() * 3 * math.pi
    radius = angle / (3 * math.pi)
    turn = angle + math.pi * side
    return radius * math.cos(turn), radius * math.sin(turn), side


def predict(model, x, y):
    hidden = [math.tanh(a * x + b * y + c) for a, b, c in model["hidden"]]
    score = model["bias"] + sum(weight * value for weight, value in zip(model["out"], hidden))
    return hidden, 1 / (1 + math.exp(-score))


def learn(model, x, y, side):
    hidden, chance = predict(model, x, y)
    error = chance - side
    for index, value in enumerate(hidden):
        slope = error * model["out"][index] * (1 - value * value)
        model["out"][index] -= RATE * error * value
        row = model["hidden"][index]
        row[0] -= RATE * slope * x
        row[1] -= RATE * slope * y
        row[2] -= RATE * slope
    model["bias"] -= RATE * error
    return -math.log(max(chance if side else 1 - chance, 1e-12))


def create():
    generator = random.Random(1951)
    return {
        "hidden": [[generator.uniform(-3, 3) for _ in range(3)] for _ in range(HIDDEN)],
        "out": [generator.uniform(-1, 1) for _ in range(HIDDEN)],
        "bias": 0.0,
    }


def main(rounds):
    with training() as t:
        model = json.loads((t.restored / "model.json").read_text()) if t.restored else create()
        print(f"from round {t.round} to {rounds}", flush=True)
        for round in range(t.round + 1, rounds + 1):
            generator = random.Random(round)
            losses = [learn(model, *draw(generator)) for _ in range(SAMPLES)]
            t.metric("loss", sum(losses) / len(losses))
            t.checkpoint(round, lambda folder: (folder / "model.json").write_text(json.dumps(model)))
        (Path("/output") if t.is_job else Path(".")).joinpath("model.json").write_text(json.dumps(model))


if __name__ == "__main__":
    main(int(sys.argv[1]))
