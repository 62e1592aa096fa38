"""How good estimates are: metrics, people, disturbances of known strength, the harm an update does."""
