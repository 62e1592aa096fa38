"""Training of the displacement network: synthetic people and what is learnt from them. An application: it may import all of `refine`."""
