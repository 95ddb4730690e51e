"""What a process exposes, read as Prometheus reads it."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, ...], float]
"""Value by name and the values of the labels, in the order of their names."""


def samples_of(text: str) -> Samples:
    """The samples in a text."""
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def names_in(samples: Samples) -> set[str]:
    """The families, each by the name that rules know it by."""
    found = set()
    for name, *_ in samples:
        base = name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
        found.add(base if f"{base}_bucket" in {key[0] for key in samples} else name)
    return found


def scrape(port: int) -> Samples:
    """Scrape a process of this machine."""
    answer = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10)
    answer.raise_for_status()
    return samples_of(answer.text)
