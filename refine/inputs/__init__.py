"""From what a caller gives to what the method needs: photos, estimates, cameras and keypoints in every form, checked and corrected."""
