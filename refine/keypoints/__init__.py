"""What 2D detectors say: detected people, their keypoint files, and which estimated body each person is."""
