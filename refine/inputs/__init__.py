"""From what a caller gives to what the method needs: photos, estimates, cameras, keypoints, checked and corrected."""
