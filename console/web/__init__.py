"""The operators' console in a browser: pages for people, the same addresses as JSON for programs.

The road of a request: `headers` (what every answer carries) → `frame` (who looks, what they may do, one
read-only connection, a thread) → a page of `pages/`, which asks `payouts` and renders a template. What
changes something is a `Verb`: a form that says what it will do, sent to a function of the same module.
"""
