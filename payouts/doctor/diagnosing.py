"""Runs the examinations side by side and tells what each found, in their order, whatever becomes of one."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from payouts.doctor.finding import Check, Finding, unknown
from payouts.errors import PayoutsError
from payouts.logs import redact

WITHIN_S = 15.0
"""How long an examination may take, unless it says so itself."""


@dataclass(frozen=True, slots=True)
class Examination:
    """Asks for facts and judges them. `remedy`: what to do where it cannot ask."""

    check: Check
    look: Callable[[], Sequence[Finding]]
    remedy: str
    within_s: float = WITHIN_S


def diagnose(examinations: Sequence[Examination]) -> Iterator[Finding]:
    """The findings of all, in the order given, each as soon as those before it are there.

    One that fails, or is not done in its time, becomes a single finding `unknown`. It may hang on: its thread
    ends with the process.
    """
    began = time.monotonic()
    for examination, answers in [(each, _start(each)) for each in examinations]:
        left_s = max(0.0, began + examination.within_s - time.monotonic())
        try:
            yield from answers.get(timeout=left_s)
        except queue.Empty:
            yield unknown(
                examination.check, f"no answer within {examination.within_s:.0f} s", examination.remedy
            )


def _start(examination: Examination) -> "queue.SimpleQueue[Sequence[Finding]]":
    answers: queue.SimpleQueue[Sequence[Finding]] = queue.SimpleQueue()

    def run() -> None:
        try:
            found = examination.look()
        except Exception as error:  # noqa: BLE001 - whatever one examination meets, the others are told
            found = [unknown(examination.check, said_of(error), examination.remedy)]
        answers.put(found)

    threading.Thread(target=run, name=f"doctor: {examination.check}", daemon=True).start()
    return answers


def said_of(error: Exception) -> str:
    """An error in one line for people, without what is secret."""
    name = "" if isinstance(error, PayoutsError) else f"{type(error).__name__}: "
    # SQLAlchemy's own text comes with the statement, over many lines: the server's words are enough.
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    return redact(f"{name}{text}")[:300] or type(error).__name__
