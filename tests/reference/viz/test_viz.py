"""Pictures and mesh files, against what a ball in front of a camera must look like and what a reader of the files must
find."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from refine.errors import InputError
from refine.estimate import Estimate
from refine.keypoints.detections import Detections
from refine.render.plain import PlainRasterizer
from refine.viz import (
    CostRow,
    Moved,
    ReportBody,
    ReportPage,
    arrows,
    overlay,
    report,
)
from refine.viz.arrows import surface_moves
from refine.viz.canvas import AFTER_COLOR, BEFORE_COLOR, blank, draw_text, shorten, text_size, wrap_text
from refine.viz.layers import View, box_view, boxes_of, layers, meshes_of, whole_view
from refine.viz.overlay import Side, draw_outlines, marks_of, pair, side_of, tint
from tests.balls import FOCAL, HEIGHT, RADIUS, WIDTH, ball, balls

PLAIN = PlainRasterizer()


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
    assert (part.person != all_of_it.person[200:290, 300:420]).mean() < 1e-3  # pixels on an outline
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
