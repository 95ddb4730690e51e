"""The doctor: looks at everything that this service depends on, and says what to do about what is wrong.

Each file here judges facts and asks nobody, but for `examining`, which gathers them, and `diagnosing`, which
sees to it that no examination keeps another's findings away.
"""
