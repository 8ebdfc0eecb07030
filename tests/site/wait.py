"""Waiting for events. No test sleeps for a fixed time: the machine may be slow, or fast."""

import time

PATIENCE = 30.0  # seconds: for what takes milliseconds on an idle machine


class Late(AssertionError):
    """Something did not happen in time."""


def until(question, what, limit=PATIENCE, pause=0.01):
    """Ask `question()` until its answer is true, and return that answer."""
    deadline = time.monotonic() + limit
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Late(f"{what}: not within {limit:g} s")
        time.sleep(pause)
