"""How good the network is: its field on people it was not trained with, what refinement makes of them, real photos."""
