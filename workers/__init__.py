"""Workers and scheduler: apply what the inbox holds, again and again until it is done or dead."""
