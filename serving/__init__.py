"""What every HTTP server here stands on: uvicorn, with every limit named, and the
addresses that say how it is. It knows no domain.

A room of its own, for `payouts` knows no HTTP server, and neither of the receiver and the API may import the
other.
"""
