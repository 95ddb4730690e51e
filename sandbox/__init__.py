"""A stateful Stripe to try the payout service on: accounts, transfers, payouts, events and their deliveries,
with a clock that can be moved on and faults on demand.

It shares no code with the service, so that it can judge it. All state lives in a `World`, which is only
touched in the event loop's thread; `app.build` puts the parts together, `python -m sandbox` serves them.
"""
