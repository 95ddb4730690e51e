"""How much Stripe may be asked."""

from dataclasses import dataclass


@dataclass(slots=True)
class Budget:
    """How many answers may be asked of Stripe, and how many were."""

    most: int
    used: int = 0

    @property
    def is_spent(self) -> bool:
        return self.used >= self.most

    def take(self) -> None:
        """One more answer is asked for."""
        self.used += 1
