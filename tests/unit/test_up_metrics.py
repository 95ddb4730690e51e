"""Where the processes of one folder serve their metrics."""

import pytest

from console.up import metrics_port


@pytest.mark.parametrize(
    ("first", "ports"),
    [("9464", ["9464", "9465"]), ("0", [None, None]), ("", [None, None]), ("wrong", [None, None])],
)
def test_each_process_has_a_port_of_its_own_where_any_is_asked_for(
    first: str, ports: list[str | None]
) -> None:
    assert [metrics_port(first, number).get("METRICS_PORT") for number in range(2)] == ports
