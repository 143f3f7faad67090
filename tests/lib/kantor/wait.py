"""Waiting for a condition, never for a time."""
import time


def until(condition, what="the condition", seconds=30):
    """Gives the first true value of condition(); fails when none comes."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("%s did not come true within %d s" % (what, seconds))
        time.sleep(0.005)
