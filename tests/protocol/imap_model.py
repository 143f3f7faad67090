"""Three sessions, two mailboxes, random commands: every answer is what the model of RFC 9051, 7162 and 5182 in kantor/model.py says.

KANTOR_MODEL_STEPS: how many steps (3,000); KANTOR_MODEL_SEED: run this history alone.
"""
import os
import random

import pytest

from kantor.model import Run, history

STEPS = int(os.environ.get("KANTOR_MODEL_STEPS", "3000"))
EPISODE = 300


def test_three_sessions_are_told_exactly_what_the_model_says(server, person):
    given = os.environ.get("KANTOR_MODEL_SEED")
    seeds = [int(given)] if given else [random.randrange(1 << 30) for _ in range(max(1, STEPS // EPISODE))]
    run = Run(server, person)
    for seed in seeds:
        steps = history(seed, EPISODE)
        failed = run.fails(steps)
        if not failed:
            continue
        shortest, why = run.shrink(steps)
        run.fails(shortest)
        pytest.fail("seed %d, step %d: %s\n%d steps are enough (%s):\n%s" % (seed, failed[0], failed[1], len(shortest), why, "\n".join(map(repr, shortest))), pytrace=False)
