"""The binary part of a glTF document, filled piece by piece: accessors, indices, pictures, nodes.

Source: Khronos, glTF 2.0 specification, sec. 3.6 (accessors and buffer views, alignment to 4 bytes).
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pygltflib import GLTF2, Node

UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT, FLOAT = 5121, 5123, 5125, 5126
"""Component types, glTF's numbers."""
TYPES = {UNSIGNED_BYTE: "<u1", UNSIGNED_SHORT: "<u2", UNSIGNED_INT: "<u4", FLOAT: "<f4"}
VERTICES, INDICES = 34962, 34963
"""What a buffer view is for, glTF's numbers."""
JPEG_QUALITY = 90


class Data:
    """A document and the bytes its accessors point into."""

    def __init__(self, file: "GLTF2") -> None:
        self.file = file
        self._bytes = bytearray()

    def node(self, node: "Node", root: bool = False) -> int:
        """Add a node, at the scene's top or where a parent names it; return its number."""
        if not node.children:
            node.children = []
        self.file.nodes.append(node)
        number = len(self.file.nodes) - 1
        if root:
            self.file.scenes[0].nodes.append(number)
        return number

    def accessor(
        self, values: np.ndarray, component: int, kind: str, *, vertices: bool = False, bounds: bool = False,
        normalized: bool = False,
    ) -> int:  # fmt: skip
        """Add numbers; return their accessor.

        Args:
            values: (N, K).
            component: Type of a number.
            kind: "SCALAR", "VEC2", "VEC3", "VEC4" or "MAT4", K numbers.
            vertices: Whether they belong to vertices.
            bounds: Whether least and largest are written, as positions and times need.
            normalized: Whether whole numbers stand for 0..1.
        """
        import pygltflib as gltf

        stored = np.ascontiguousarray(values.astype(TYPES[component]))
        entry = gltf.Accessor(
            bufferView=self._view(stored.tobytes(), VERTICES if vertices else None),
            componentType=component, count=len(stored), type=kind, normalized=normalized or None,
        )  # fmt: skip
        if bounds:
            entry.min, entry.max = stored.min(0).tolist(), stored.max(0).tolist()
        self.file.accessors.append(entry)
        return len(self.file.accessors) - 1

    def indices(self, corners: np.ndarray) -> int:
        """Add triangles (F, 3); return their accessor."""
        import pygltflib as gltf

        component = UNSIGNED_SHORT if corners.max() < 2**16 - 1 else UNSIGNED_INT
        stored = corners.astype(TYPES[component]).ravel()
        self.file.accessors.append(
            gltf.Accessor(
                bufferView=self._view(stored.tobytes(), INDICES), componentType=component, count=len(stored),
                type="SCALAR",
            )
        )  # fmt: skip
        return len(self.file.accessors) - 1

    def picture(self, rgb: np.ndarray) -> int:
        """Add a picture (H, W, 3) uint8 sRGB as JPEG; return its texture."""
        import cv2
        import pygltflib as gltf

        done, code = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert done
        self.file.images.append(gltf.Image(bufferView=self._view(code.tobytes(), None), mimeType="image/jpeg"))
        if not self.file.samplers:
            self.file.samplers.append(gltf.Sampler(wrapS=gltf.CLAMP_TO_EDGE, wrapT=gltf.CLAMP_TO_EDGE))
        self.file.textures.append(gltf.Texture(source=len(self.file.images) - 1, sampler=0))
        return len(self.file.textures) - 1

    def close(self) -> None:
        """Write the bytes into the document; lists that say nothing go, as the format demands."""
        import pygltflib as gltf

        self.file.buffers.append(gltf.Buffer(byteLength=len(self._bytes)))
        self.file.set_binary_blob(bytes(self._bytes))
        for node in self.file.nodes:
            node.children = node.children or None

    def _view(self, content: bytes, target: int | None) -> int:
        import pygltflib as gltf

        self._bytes += b"\0" * (-len(self._bytes) % 4)
        view = gltf.BufferView(buffer=0, byteOffset=len(self._bytes), byteLength=len(content), target=target)
        self._bytes += content
        self.file.bufferViews.append(view)
        return len(self.file.bufferViews) - 1
