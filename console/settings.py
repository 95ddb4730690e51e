"""`payouts settings`: what each setting is just now, without showing a secret."""

import sys
from typing import Annotated

import typer

from console.context import DataOption, environment_of, settings_of
from console.output import print_table, table, write_json


def settings(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Write docs/settings.md instead: each setting and its meaning.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines: a setting each.")] = False,
    data: DataOption = None,
) -> None:
    """Show every setting, its value and where it comes from. Changes nothing.

    Secrets are told apart by a fingerprint: the first 8 hex digits of their SHA-256.
    """
    from payouts.settings_facts import setting_values
    from payouts.settings_page import settings_page

    if markdown:
        sys.stdout.write(settings_page())
        return
    environment = environment_of(data)
    values = setting_values(settings_of(data), environment)
    if as_json:
        for each in values:
            write_json({"setting": each.name, "value": each.value, "from": each.origin})
        return
    print_table(
        table(("setting", "value", "from"), ((each.name, each.value, each.origin) for each in values))
    )
