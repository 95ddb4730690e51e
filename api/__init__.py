"""The portal's JSON API: partners, credits and payouts, asked for by token. A process of its own."""
