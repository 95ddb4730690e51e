"""What a process knows of emergency mode: asked of Redis now and then, else as it was last heard of."""

import threading
import time
from collections.abc import Callable

import redis

from payouts.emergency_state import HELD_BY_SETTING, Switched
from payouts.logs import get_logger
from payouts.storage.emergency_switch import EmergencySwitch

LOOK_EVERY_S = 1.0
"""How old what a process knows of the switch may be."""


class EmergencyWatch:
    """What a process knows of the switch. Safe to share between threads: one at a time asks."""

    def __init__(
        self,
        switch: EmergencySwitch,
        *,
        by_setting: bool = False,
        every_s: float = LOOK_EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`by_setting`: it is on, whatever the switch says."""
        self._switch, self._by_setting = switch, by_setting
        self._every_s, self._monotonic = every_s, monotonic
        self._known: Switched | None = None
        self._heard = False
        self._asked_s: float | None = None
        self._guard = threading.Lock()

    @property
    def known(self) -> Switched | None:
        """As it was when it was last heard of, without asking."""
        return HELD_BY_SETTING if self._by_setting else self._known

    def ask(self) -> Switched | None:
        """How it stands, at most a second old. Raises redis.RedisError."""
        if self._by_setting:
            return self.known
        if not self._heard:
            with self._guard:  # the others wait: nobody may take it for off before the first answer
                if not self._heard and self._is_time():
                    self._known = self._switch.read()
                    self._heard = True
            return self.known
        with self._guard:
            mine = self._is_time()
        if mine:
            self._known = self._switch.read()
        return self._known

    def now(self) -> Switched | None:
        """As `ask`; while Redis does not answer, as it was last heard of."""
        try:
            return self.ask()
        except redis.RedisError as error:
            get_logger().warning("emergency.not_asked", error=str(error)[:300])
            return self.known

    def is_on(self) -> bool:
        """Whether it is on, as `now`."""
        return self.now() is not None

    def _is_time(self) -> bool:
        now_s = self._monotonic()
        if self._asked_s is not None and now_s - self._asked_s < self._every_s:
            return False
        self._asked_s = now_s
        return True
