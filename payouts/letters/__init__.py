"""What partners are written: which notice makes which letter, and how it reads."""
