"""The receiver: verifies what Stripe delivers, makes it durable, acknowledges, and sends a hint on."""
