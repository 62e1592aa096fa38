"""What a result file is, for people: format, people, camera, ranges, what looks wrong."""
