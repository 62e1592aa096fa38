"""What the method does with whole estimates: several starts, and the best of them for each person."""
