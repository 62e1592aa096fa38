"""Training of the displacement network: synthetic people and how it learns. It may import all of `refine`."""
