"""How good the network is: its field on people it was not trained with, what refinement with it alone does to them, and real photos."""
