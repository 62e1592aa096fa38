"""Pictures of results: overlay, arrows and report; and files for other programs: images, OBJ, PLY."""

from refine.export.files import write_image, write_obj, write_ply
from refine.viz.arrows import arrows
from refine.viz.overlay import overlay
from refine.viz.report import CostRow, Moved, ReportBody, ReportPage, report

__all__ = [
    "CostRow",
    "Moved",
    "ReportBody",
    "ReportPage",
    "arrows",
    "overlay",
    "report",
    "write_image",
    "write_obj",
    "write_ply",
]
