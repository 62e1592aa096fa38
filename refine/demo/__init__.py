"""The built-in demo: painted people in painted rooms, disturbed estimates of them, and what refining makes of these."""
