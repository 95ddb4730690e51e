"""The version of the code: shown by health and commands, and recorded with every failed attempt."""

VERSION = "0.1.0"
