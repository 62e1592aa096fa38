"""Pictures and mesh files, against what a ball in front of a camera must look like and what a reader of the files must find."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from refine.bodies import Bodies, State
from refine.body import KeypointSet, SkinnedBody
from refine.camera import Camera
from refine.detections import Detections
from refine.errors import InputError
from refine.estimate import Estimate, Source
from refine.render.plain import PlainRasterizer
from refine.viz import (
    CostRow,
    Moved,
    ReportBody,
    ReportPage,
    arrows,
    overlay,
    report,
    write_bytes,
    write_image,
    write_obj,
    write_ply,
)
from refine.viz.arrows import surface_moves
from refine.viz.canvas import AFTER_COLOR, BEFORE_COLOR, blank, draw_text, shorten, text_size, wrap_text
from refine.viz.layers import View, box_view, boxes_of, layers, meshes_of, whole_view
from refine.viz.overlay import Side, draw_outlines, marks_of, pair, side_of, tint

HEIGHT, WIDTH, FOCAL, RADIUS = 480, 640, 500.0, 0.5
PLAIN = PlainRasterizer()


def ball(rings: int = 16, around: int = 24) -> SkinnedBody:
    """A ball of radius `RADIUS` on one joint at its centre, closed, seen from outside counter-clockwise."""
    polar = torch.linspace(0, math.pi, rings)[:, None]
    turn = torch.arange(around) * 2 * math.pi / around
    ones = torch.ones(around)
    points = RADIUS * torch.stack((polar.sin() * turn.cos(), polar.cos() * ones, polar.sin() * turn.sin()), -1).reshape(
        -1, 3
    )
    row, column = torch.meshgrid(torch.arange(rings - 1), torch.arange(around), indexing="ij")
    a, b = (row * around + column).reshape(-1), (row * around + (column + 1) % around).reshape(-1)
    faces = torch.cat((torch.stack((a, b, b + around), 1), torch.stack((a, b + around, a + around), 1)))
    count = len(points)
    centre = KeypointSet(("centre",), torch.ones(1, 1), torch.zeros(1, dtype=torch.int64), torch.zeros(1, 3))
    return SkinnedBody(
        name="ball",
        model="ball",
        template=points,
        shape_basis=torch.zeros(count, 3, 1),
        expression_basis=torch.zeros(count, 3, 0),
        pose_basis=torch.zeros(count, 3, 0),
        joint_template=torch.zeros(1, 3),
        joint_basis=torch.zeros(1, 3, 1),
        joint_expression_basis=torch.zeros(1, 3, 0),
        parents=torch.tensor([-1]),
        weight_joints=torch.zeros(count, 1, dtype=torch.int64),
        weight_values=torch.ones(count, 1),
        faces=faces,
        uv=torch.zeros(0, 2),
        uv_faces=torch.zeros(0, 3, dtype=torch.int64),
        joint_names=("centre",),
        keypoint_sets={"one": centre},
        vertex_parts=torch.zeros(count, dtype=torch.int64),
        part_names=("all",),
        vertex_colors=torch.zeros(count, 3),
        mean_pose=torch.zeros(1, 3),
        hand_basis=torch.zeros(2, 0, 45),
    )


def balls(*centers: tuple[float, float, float], images: list[int] | None = None) -> Estimate:
    """Balls at the given places (m, camera frame) before a WIDTH x HEIGHT photo."""
    count = len(centers)
    pose = torch.eye(3).expand(count, 1, 3, 3).contiguous()
    bodies = Bodies(pose, torch.zeros(count, 1), torch.zeros(count, 0), torch.tensor(centers).reshape(count, 3))
    camera = Camera(
        torch.full((count, 2), FOCAL),
        torch.tensor([[WIDTH / 2, HEIGHT / 2]]).repeat(count, 1),
        torch.tensor([[float(HEIGHT), float(WIDTH)]]).repeat(count, 1),
    )
    source = Source("parameters", "ball", pose, bodies.shape, bodies.expression)
    return Estimate(ball(), State(bodies, camera), torch.tensor(images or [0] * count, dtype=torch.int64), source)


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def whole(photo: np.ndarray) -> View:
    return whole_view(photo, 1, 10_000)


def seen(estimate: Estimate, photo: np.ndarray) -> np.ndarray:
    return layers(meshes_of(estimate, photo, 0), whole(photo), PLAIN).person


def side(estimate: Estimate) -> Side:
    return side_of(estimate, np.zeros((HEIGHT, WIDTH, 3), np.uint8), 0, None)


def page_of(people: int) -> ReportPage:
    rows = tuple(ReportBody(f"Person {body + 1}", "converged.", 20.0, 5.0) for body in range(people))
    return ReportPage("photo.jpg", "All is well.", rows)


def test_a_ball_covers_the_disc_it_projects_to(photo: np.ndarray) -> None:
    covered = seen(balls((0.0, 0.0, 4.0)), photo) == 0
    radius = FOCAL * math.tan(math.asin(RADIUS / 4.0))  # px: the cone that touches the ball
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    away = np.hypot(columns - WIDTH / 2, rows - HEIGHT / 2)
    assert covered[away < 0.96 * radius].all()  # a polyhedron with 24 meridians lies a little inside its ball
    assert not covered[away > 1.001 * radius].any()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearer_person_hides_the_farther_in_either_order(photo: np.ndarray, order: tuple[int, int]) -> None:
    places = [(0.0, 0.0, 3.0), (0.6, 0.0, 5.0)]
    person = seen(balls(*(places[n] for n in order)), photo)
    near, far = order.index(0), order.index(1)
    assert person[HEIGHT // 2, WIDTH // 2 + 60] == near  # both balls cover this pixel
    assert (person == far).any()


def test_a_window_shows_the_same_pixels_as_the_whole(photo: np.ndarray) -> None:
    meshes = meshes_of(balls((0.0, 0.0, 4.0), (0.4, 0.1, 5.0)), photo, 0)
    all_of_it = layers(meshes, whole(photo), PLAIN)
    part = layers(meshes, View((300, 200, 420, 290), 90, 120), PLAIN)
    assert (part.person == all_of_it.person[200:290, 300:420]).all()
    assert np.allclose(part.light, all_of_it.light[200:290, 300:420], atol=1e-3)


def test_a_ball_is_lit_and_brightest_towards_the_lamp(photo: np.ndarray) -> None:
    light = layers(meshes_of(balls((0.0, 0.0, 4.0)), photo, 0), whole(photo), PLAIN).light
    bright = np.unravel_index(light.argmax(), light.shape)
    assert bright[0] < HEIGHT / 2 and bright[1] < WIDTH / 2
    assert 0.9 < light.max() <= 1.0 + 1e-5


def test_an_overlay_holds_the_photo_twice_and_draws_on_the_bodies_only(photo: np.ndarray) -> None:
    picture = overlay(photo, balls((0.0, 0.0, 4.0)), balls((0.05, 0.0, 4.0)), rasterizer=PLAIN)
    top = next(y for y in range(100) if (picture[y : y + 100, :100] == photo[:100, :100]).all())
    left, right = picture[top : top + HEIGHT, :WIDTH], picture[top : top + HEIGHT, -WIDTH:]
    for half in (left, right):
        assert (half[:, :200] == photo[:, :200]).all()
        assert (half[HEIGHT // 2, WIDTH // 2] != photo[HEIGHT // 2, WIDTH // 2]).any()
    assert (left != right).any()
    assert picture.shape[0] > top + HEIGHT  # the legend


def test_both_outlines_are_in_both_halves(photo: np.ndarray) -> None:
    view = whole(photo)
    halves, _ = pair(photo // 8, side(balls((-0.2, 0.0, 4.0))), side(balls((0.2, 0.0, 4.0))), view, rasterizer=PLAIN)
    for half in halves:
        for color in (BEFORE_COLOR, AFTER_COLOR):
            assert (half == np.array(color)).all(-1).sum() > 50


def test_no_outline_runs_along_the_border_where_a_body_leaves_the_photo(photo: np.ndarray) -> None:
    layer = layers(meshes_of(balls((0.0, 1.7, 4.0)), photo, 0), whole(photo), PLAIN)
    assert (layer.person[-1] == 0).sum() > 20  # the ball crosses the lower border
    drawn = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    draw_outlines(drawn, layer, [0], AFTER_COLOR, 0.0)
    assert drawn.any()
    assert not drawn[-3:, WIDTH // 2 - 20 : WIDTH // 2 + 20].any()


def test_tint_leaves_the_background_alone_and_lets_the_photo_through(photo: np.ndarray) -> None:
    layer = layers(meshes_of(balls((0.0, 0.0, 4.0)), photo, 0), whole(photo), PLAIN)
    tinted = tint(photo, layer)
    inside = layer.person >= 0
    assert (tinted[~inside] == photo[~inside]).all()
    assert np.corrcoef(tinted[inside].ravel(), photo[inside].ravel())[0, 1] > 0.5


@pytest.mark.parametrize(
    "center",
    [(0.0, 0.0, -4.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.3), (50.0, 0.0, 4.0), (-1.3, 0.0, 2.0), (0.0, 0.0, math.nan)],
    ids=["behind", "around the camera", "crossing the camera", "outside", "half outside", "not a number"],
)
def test_a_body_anywhere_gives_a_picture(photo: np.ndarray, center: tuple[float, float, float]) -> None:
    before, after = balls(center, (0.0, 0.0, 4.0)), balls((0.0, 0.0, 4.0), center)
    size = overlay(photo, balls((0.0, 0.0, 4.0)), balls((0.0, 0.0, 4.0))).shape
    assert overlay(photo, before, after).shape[1] == size[1]
    assert arrows(photo, before, after).shape[1] == WIDTH
    assert report(photo, before, after, page_of(2)).shape[1] == 1600


def test_a_person_behind_the_camera_is_named(photo: np.ndarray) -> None:
    estimate = balls((0.0, 0.0, 4.0), (0.0, 0.0, -4.0))
    _, unseen = pair(photo, side(estimate), side(estimate), whole(photo), rasterizer=PLAIN)
    assert unseen == (1,)


def test_no_people_give_the_photo(photo: np.ndarray) -> None:
    nobody = balls()
    (left, right), unseen = pair(photo, side(nobody), side(nobody), whole(photo), rasterizer=PLAIN)
    assert (left == photo).all() and (right == photo).all() and unseen == ()
    assert report(photo, nobody, nobody, page_of(0), rasterizer=PLAIN).shape[1] == 1600


def test_people_of_other_images_are_left_out(photo: np.ndarray) -> None:
    estimate = balls((-0.5, 0.0, 4.0), (0.5, 0.0, 4.0), images=[0, 1])
    first, second = (layers(meshes_of(estimate, photo, image), whole(photo), PLAIN).person for image in (0, 1))
    assert first[:, : WIDTH // 2].max() == 0 and first[:, WIDTH // 2 + 10 :].max() == -1
    assert second[:, WIDTH // 2 :].max() == 0 and second[:, : WIDTH // 2 - 10].max() == -1


def test_large_photos_are_reduced_and_small_ones_enlarged() -> None:
    assert whole_view(np.zeros((4000, 6000, 3), np.uint8), 640, 1280).width == 1280
    assert whole_view(np.zeros((60, 80, 3), np.uint8), 640, 1280).width == 640
    view = whole_view(np.zeros((971, 1457, 3), np.uint8), 640, 2000)
    assert (view.height, view.width) == (971, 1457)


def test_a_box_view_stays_in_the_photo_and_holds_the_box() -> None:
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for box in ([10.0, 10.0, 50.0, 200.0], [600.0, 300.0, 900.0, 700.0], [0.0, 0.0, 640.0, 480.0]):
        view = box_view(photo, [np.array(box)], 560, 420)
        left, top, right, bottom = view.window
        assert 0 <= left <= box[0] and 0 <= top <= box[1]
        assert min(box[2], WIDTH) <= right <= WIDTH and min(box[3], HEIGHT) <= bottom <= HEIGHT
        assert view.height <= 560 and view.width <= 420
        assert view.scale[0] == pytest.approx(view.scale[1], rel=0.02)
    assert box_view(photo, [np.full(4, np.nan)], 560, 420).window == (0, 0, WIDTH, HEIGHT)


def test_boxes_hold_the_projected_ball(photo: np.ndarray) -> None:
    box = boxes_of(meshes_of(balls((0.0, 0.0, 4.0)), photo, 0))[0]
    radius = FOCAL * math.tan(math.asin(RADIUS / 4.0))
    assert box == pytest.approx([320 - radius, 240 - radius, 320 + radius, 240 + radius], abs=1.5)


def test_a_ball_moved_sideways_has_arrows_sideways(photo: np.ndarray) -> None:
    before, after = (meshes_of(balls((x, 0.0, 4.0)), photo, 0) for x in (0.0, 0.2))
    moves = surface_moves(before, after, layers(before, whole(photo), PLAIN))
    shift = moves.stop - moves.start
    assert len(shift) > 10
    assert np.allclose(shift[:, 1], 0, atol=0.01)
    # The visible half lies between 3.5 and 4 m: f * 0.2 / z.
    assert (shift[:, 0] >= FOCAL * 0.2 / 4.0 - 0.01).all() and (shift[:, 0] <= FOCAL * 0.2 / 3.5 + 0.01).all()


def test_points_that_go_behind_the_camera_have_no_arrow(photo: np.ndarray) -> None:
    before, after = (meshes_of(balls((0.0, 0.0, z)), photo, 0) for z in (4.0, -4.0))
    assert len(surface_moves(before, after, layers(before, whole(photo), PLAIN)).person) == 0


def test_arrows_between_different_meshes_are_refused(photo: np.ndarray) -> None:
    other = dataclasses.replace(balls((0.0, 0.0, 4.0)), body=ball(rings=8))
    with pytest.raises(InputError, match="mesh"):
        arrows(photo, balls((0.0, 0.0, 4.0)), other, rasterizer=PLAIN)


def test_a_detection_is_drawn_where_it_lies_and_an_absent_one_is_not() -> None:
    dark = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    estimate = balls((0.0, 0.0, 4.0))
    spot = torch.tensor([[[100.5, 50.5]]])
    for confidence, drawn in ((0.9, True), (0.0, False)):
        detections = Detections("one", spot, torch.full((1, 1), confidence))
        shown = side_of(estimate, dark, 0, detections)
        (left, _), _ = pair(dark, shown, shown, whole(dark), rasterizer=PLAIN)
        assert (left[50, 100] == 255).all() == drawn
    marks = marks_of(balls((0.0, 0.0, -4.0)), Detections("one", spot, torch.ones(1, 1)), 0)
    assert np.isnan(marks.projected).all()  # behind the camera
    marks = marks_of(estimate, Detections("one", spot, torch.ones(1, 1)), 0)
    assert marks.projected[0, 0] == pytest.approx([WIDTH / 2, HEIGHT / 2])


def test_a_report_shows_each_person_and_grows_with_them(photo: np.ndarray) -> None:
    one, two = balls((-0.5, 0.0, 4.0)), balls((-0.5, 0.0, 4.0), (0.5, 0.0, 4.0))
    short, long = (report(photo, people, people, page_of(len(people)), rasterizer=PLAIN) for people in (one, two))
    assert short.shape[1] == long.shape[1] == 1600
    assert long.shape[0] > short.shape[0] + 300


def test_a_report_copes_with_unknown_figures_and_long_words(photo: np.ndarray) -> None:
    estimate = balls((0.0, 0.0, 4.0))
    rows = (CostRow("keypoints" * 20, math.nan, 1e9), CostRow("prior", 0.0, -1e-7))
    body = ReportBody("Person " * 40, "stopped " * 200, 0.0, 0.0, "points " * 40, (Moved("left_elbow" * 9, 0.0),), rows)
    page = ReportPage("name" * 300, "verdict " * 300, (body,), ("a note " * 100, "", "über → 3°"))
    assert report(photo, estimate, estimate, page, rasterizer=PLAIN).shape[1] == 1600


def test_text_is_wrapped_and_shortened_to_its_width() -> None:
    words = "the quick brown fox jumps over the lazy dog " * 5 + "x" * 300
    assert all(text_size(line, 18)[0] <= 200 for line in wrap_text(words, 200, 18))
    assert " ".join(wrap_text("all words of this stay in order", 100, 18)) == "all words of this stay in order"
    assert shorten("short", 500, 18) == "short"


def test_text_is_drawn_without_a_scalable_font_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refine.viz.canvas._face", lambda: None)  # OpenCV 4
    page = blank(40, 400)
    draw_text(page, "3.0° → 2 px", (10, 5), 20)
    written = np.nonzero((page != page[0, 0]).any(-1))
    assert len(written[0]) > 50
    assert 9 <= written[1].min() and written[1].max() <= 12 + text_size("3.0° → 2 px", 20)[0]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((480, 640), np.uint8),
        np.zeros((480, 640, 4), np.uint8),
        np.zeros((480, 640, 3)),
        np.zeros((0, 0, 3), np.uint8),
    ],
    ids=["grey", "rgba", "float", "empty"],
)
def test_what_is_no_rgb_photo_is_refused(wrong: np.ndarray) -> None:
    estimate = balls((0.0, 0.0, 4.0))
    with pytest.raises(InputError, match="photo: expected an RGB array"):
        overlay(wrong, estimate, estimate, rasterizer=PLAIN)


def test_a_photo_of_another_size_is_refused() -> None:
    estimate = balls((0.0, 0.0, 4.0))
    with pytest.raises(InputError, match="640 x 480"):
        overlay(np.zeros((240, 320, 3), np.uint8), estimate, estimate, rasterizer=PLAIN)


def test_other_people_after_than_before_are_refused(photo: np.ndarray) -> None:
    with pytest.raises(InputError, match="after: expected the 1 bodies"):
        overlay(photo, balls((0.0, 0.0, 4.0)), balls((0.0, 0.0, 4.0), (0.0, 0.0, 5.0)), rasterizer=PLAIN)


def test_a_page_of_other_people_is_refused(photo: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"page\.bodies: expected 1 entries"):
        report(photo, balls((0.0, 0.0, 4.0)), balls((0.0, 0.0, 4.0)), page_of(2), rasterizer=PLAIN)


# Files ------------------------------------------------------------------------------------------------------------------

POINTS = torch.tensor([[[0.1, -0.2, 3.0], [0.4, 0.5, 3.1], [-0.6, 0.7, 3.2], [0.0, 0.0, 2.9]]]).repeat(
    2, 1, 1
) + torch.tensor([0.0, 1.0]).reshape(2, 1, 1)
FACES = torch.tensor([[0, 1, 2], [0, 2, 3]])
OPENGL = torch.tensor([1.0, -1.0, -1.0])


def read_obj(path: Path) -> dict[str, list[list[str]]]:
    rows: dict[str, list[list[str]]] = {}
    for line in path.read_text().splitlines():
        key, *words = line.split()
        rows.setdefault(key, []).append(words)
    return rows


def test_an_obj_holds_every_body_as_an_object(tmp_path: Path) -> None:
    write_obj(tmp_path / "two.obj", POINTS, FACES)
    rows = read_obj(tmp_path / "two.obj")
    assert rows["o"] == [["person_1"], ["person_2"]]
    assert torch.allclose(
        torch.tensor([[float(w) for w in row] for row in rows["v"]]), (POINTS * OPENGL).reshape(-1, 3), atol=1e-6
    )
    assert [[int(w) for w in row] for row in rows["f"]] == [[1, 2, 3], [1, 3, 4], [5, 6, 7], [5, 7, 8]]


def test_camera_axes_leave_the_vertices_as_they_are(tmp_path: Path) -> None:
    write_obj(tmp_path / "two.obj", POINTS, FACES, axes="camera")
    rows = read_obj(tmp_path / "two.obj")
    assert torch.allclose(
        torch.tensor([[float(w) for w in row] for row in rows["v"]]), POINTS.reshape(-1, 3), atol=1e-6
    )


def test_a_textured_obj_brings_its_material_and_picture(tmp_path: Path) -> None:
    import cv2

    uv = torch.tensor([[0.0, 0.0], [1.0, 0.25], [0.5, 1.0]])
    uv_faces = torch.tensor([[0, 1, 2], [2, 1, 0]])
    texture = np.zeros((4, 4, 3), np.uint8)
    texture[0, 0] = (255, 0, 0)
    write_obj(tmp_path / "a.obj", POINTS, FACES, uv=uv, uv_faces=uv_faces, texture=texture)
    rows = read_obj(tmp_path / "a.obj")
    assert [[float(w) for w in row] for row in rows["vt"]] == [[0.0, 1.0], [1.0, 0.75], [0.5, 0.0]]  # OBJ's v goes up
    assert rows["f"][2] == ["5/1", "6/2", "7/3"]
    assert rows["mtllib"] == [["a.mtl"]] and "map_Kd a.png" in (tmp_path / "a.mtl").read_text()
    assert cv2.imread(str(tmp_path / "a.png"))[0, 0].tolist() == [0, 0, 255]


def test_a_ply_holds_vertices_bodies_colours_and_triangles(tmp_path: Path) -> None:
    colors = torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    write_ply(tmp_path / "two.ply", POINTS, FACES, colors=colors)
    header, content = (tmp_path / "two.ply").read_bytes().split(b"end_header\n", 1)
    words = header.decode().split("\n")
    assert words[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "element vertex 8" in words and "element face 4" in words
    vertex = np.frombuffer(content, [("xyz", "<f4", 3), ("body", "<i4"), ("rgb", "u1", 3)], 8)
    face = np.frombuffer(content, [("count", "u1"), ("corner", "<i4", 3)], offset=vertex.nbytes)
    assert np.allclose(vertex["xyz"], (POINTS * OPENGL).reshape(-1, 3).numpy())
    assert vertex["body"].tolist() == [0] * 4 + [1] * 4
    assert vertex["rgb"][4].tolist() == [0, 128, 255]
    assert (face["count"] == 3).all() and face["corner"].tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]]


def test_a_picture_comes_back_as_it_was_written(tmp_path: Path, photo: np.ndarray) -> None:
    import cv2

    write_image(tmp_path / "a.png", photo)
    assert (cv2.imread(str(tmp_path / "a.png"))[..., ::-1] == photo).all()


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes(tmp_path / "a.bin", b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_bytes(tmp_path / "a.bin", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_files_that_cannot_be_written_are_refused(tmp_path: Path, photo: np.ndarray) -> None:
    with pytest.raises(InputError, match="folder"):
        write_bytes(tmp_path / "absent" / "a.bin", b"")
    with pytest.raises(InputError, match=r"\.png"):
        write_image(tmp_path / "a.xyz", photo)
    with pytest.raises(InputError, match="axes"):
        write_ply(tmp_path / "a.ply", POINTS, FACES, axes="blender")
    with pytest.raises(InputError, match="uv_faces"):
        write_obj(tmp_path / "a.obj", POINTS, FACES, uv=torch.zeros(3, 2))
    with pytest.raises(InputError, match="uv_faces"):
        write_obj(tmp_path / "a.obj", POINTS, FACES, uv=torch.zeros(3, 2), uv_faces=FACES[:1])
    with pytest.raises(InputError, match="names"):
        write_obj(tmp_path / "a.obj", POINTS, FACES, names=["only one"])
    with pytest.raises(InputError, match="faces"):
        write_obj(tmp_path / "a.obj", POINTS, FACES + 9)
    assert list(tmp_path.iterdir()) == []
