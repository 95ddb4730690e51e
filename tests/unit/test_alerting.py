"""Rules, routes and the dashboard: valid by Prometheus' own tools, and about metrics that are exposed."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from console.main import app
from payouts.metric_names import METRICS, Metric
from payouts.vitals import BOUNDS, Bounds, Vital
from tests.conftest import need

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RULES = sorted((DEPLOY / "prometheus" / "rules").glob("*.yml"))
RUNBOOK = ROOT / "docs" / "runbook.md"

RESPONSE = {"P0": "15 min", "P1": "1 hour", "P2": "4 hours", "P3": "next business day"}
SEVERITY = {"P0": "critical", "P1": "critical", "P2": "warning", "P3": "warning"}
SIGNS = {
    Vital.ERROR_RATE: ("ErrorRate", "payouts:error_rate", 1),
    Vital.P95_LATENCY: ("P95Latency", "payouts:p95_seconds", 1000),
    Vital.DATABASE_CONNECTIONS: ("DatabaseConnections", "payouts:connections_used", 1),
    Vital.MEMORY: ("Memory", "payouts:memory_used", 1),
    Vital.RATE_LIMIT_HITS: ("RateLimitHits", "payouts:rate_limited", 1),
}


Tool = Callable[..., str]


@pytest.fixture
def promtool(request: pytest.FixtureRequest) -> Tool:
    """Runs it; it must succeed. Returns what it says."""
    need(request, "Prometheus", shutil.which("promtool"))
    return partial(run, "promtool")


@pytest.fixture
def amtool(request: pytest.FixtureRequest) -> Tool:
    """As `promtool`."""
    need(request, "Alertmanager", shutil.which("amtool"))
    return partial(run, "amtool")


def run(program: str, *arguments: object) -> str:
    words = [program, *map(str, arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def panels() -> list[dict[str, Any]]:
    found = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())["panels"]
    assert isinstance(found, list)
    return found


def queries() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", [])]


def metrics_in(expression: str) -> set[str]:
    """The service's metrics that an expression names, of a histogram the name of the whole."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    named = set(re.findall(r"(?<![\w:])payouts_\w+", bare))
    return {re.sub(r"_(bucket|sum|count)$", "", name) if name not in METRICS else name for name in named}


def test_rules_and_configuration_are_valid(promtool: Tool) -> None:
    promtool("check", "rules", *RULES)
    promtool("check", "config", DEPLOY / "prometheus" / "prometheus.yml")


@pytest.mark.parametrize(
    "tests", sorted((DEPLOY / "prometheus" / "tests").glob("*.yml")), ids=lambda p: p.name
)
def test_rules_fire_where_they_must_and_nowhere_else(promtool: Tool, tests: Path) -> None:
    promtool("test", "rules", tests)


def test_each_alert_has_a_test_in_which_it_fires() -> None:
    said = "".join(path.read_text() for path in (DEPLOY / "prometheus" / "tests").glob("*.yml"))
    fires = set(re.findall(r'count\(ALERTS\{alertname="(\w+)"[^}]*\}\)\', [^\n]*value: [12] ', said))
    fires |= set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:\n", said))
    assert set(alerts()) - fires == set()


@pytest.mark.parametrize("name", alerts())
def test_each_alert_says_how_bad_it_is_what_to_do_and_where_to_read_on(name: str) -> None:
    alert = alerts()[name]
    level, said = alert["labels"]["level"], alert["annotations"]
    assert alert["labels"]["severity"] == SEVERITY[level]
    assert said["response_time"] == RESPONSE[level]
    assert said["summary"]
    assert len(said["action"]) > 20
    base, _, anchor = said["runbook_url"].partition("#")
    assert base == "{{ $externalLabels.runbook }}"
    if RUNBOOK.exists():
        assert anchor in anchors(RUNBOOK.read_text())


def anchors(text: str) -> set[str]:
    """The anchors of a page: of its headings, as GitHub makes them, and those set by hand."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def test_the_levels_are_those_of_the_vital_signs() -> None:
    found = alerts()
    for vital, (name, value, unit) in SIGNS.items():
        bounds: Bounds = BOUNDS[vital]
        warning, critical = bounds.warning / unit, bounds.critical / unit
        assert found[f"{name}Warning"]["expr"] == f"{value} >= {warning:g} <= {critical:g}"
        assert found[f"{name}Critical"]["expr"] == f"{value} > {critical:g}"
        assert "for" not in found[f"{name}Warning"]
    assert set(SIGNS) == set(Vital)
    assert found["HighErrorRate"]["expr"] == "payouts:errors_5m > 100"
    assert (found["SlowResponses"]["expr"], found["SlowResponses"]["for"]) == (
        "payouts:p95_seconds > 0.5",
        "5m",
    )


def commands(text: str) -> Iterator[list[str]]:
    """The commands of this service that a text names between backquotes."""
    for said in re.findall(r"`payouts ([^`]+)`", text):
        yield [word for word in said.split() if not word.startswith("-")]


@pytest.mark.parametrize("name", alerts())
def test_an_alert_names_commands_that_there_are(name: str) -> None:
    for words in commands(alerts()[name]["annotations"]["action"]):
        command: Any = typer.main.get_command(app)
        for word in words:
            if not hasattr(command, "commands"):
                break  # an argument
            assert word in command.commands, f"payouts {' '.join(words)}"
            command = command.commands[word]


def test_rules_and_panels_ask_for_metrics_that_are_exposed() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for expression in [*(rule["expr"] for rule in rules()), *queries()]:
        assert metrics_in(expression) <= METRICS.keys(), expression
        assert set(re.findall(r"payouts:\w+", expression)) <= recorded, expression


def test_the_dashboard_shows_every_metric_but_what_only_joins() -> None:
    shown: set[str] = set()
    by_record = {rule["record"]: metrics_in(rule["expr"]) for rule in rules() if "record" in rule}
    for query in queries():
        shown |= metrics_in(query)
        for record in re.findall(r"payouts:\w+", query):
            shown |= by_record[record]
    unshown = {"payouts_process_start_time_seconds", "payouts_look_age_seconds", "payouts_mode_age_seconds"}
    unshown |= {"payouts_walk_interval_seconds", "payouts_invariants_check_interval_seconds"}
    unshown |= {"payouts_spilled_oldest_age_seconds"}
    assert METRICS.keys() - shown == unshown


def test_the_dashboard_is_whole(promtool: Tool, tmp_path: Path) -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["targets"]
    written = tmp_path / "panels.yml"
    made = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries())]
    written.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": made}]}))
    promtool("check", "rules", written)


def test_a_warning_goes_to_slack_and_what_is_critical_to_both(amtool: Tool) -> None:
    path = DEPLOY / "alertmanager" / "alertmanager.yml"
    amtool("check-config", path)
    channels = {"warning": "slack-warning", "critical": "pager-and-slack"}
    for severity, receiver in channels.items():
        said = amtool("config", "routes", "test", f"--config.file={path}", f"severity={severity}")
        assert said.split() == [receiver]
    told = {each["name"]: each for each in yaml.safe_load(path.read_text())["receivers"]}
    assert [each["channel"] for each in told["slack-warning"]["slack_configs"]] == ["#alerts-warning"]
    assert "pagerduty_configs" not in told["slack-warning"]
    assert [each["channel"] for each in told["pager-and-slack"]["slack_configs"]] == ["#alerts-critical"]
    assert told["pager-and-slack"]["pagerduty_configs"]


def test_no_secret_is_in_the_configuration() -> None:
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text()
    assert "hooks.slack.com" not in text
    assert set(re.findall(r"(\w*(?:key|api_url)\w*):", text)) == {"slack_api_url_file", "routing_key_file"}


def row(metric: Metric) -> str:
    """The row of a metric on the page."""
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.who} | {metric.text} |"


def test_the_page_of_metrics_says_what_the_code_says() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    rows = {row(metric) for metric in METRICS.values()}
    there = {line for line in page.splitlines() if line.startswith("| `payouts_")}
    assert there == rows
