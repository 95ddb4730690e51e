"""Tables and everything that speaks SQL: nothing outside this package does."""
