"""Measurements, each with its ceiling and its alternative in the same run. Not part of the tests."""
