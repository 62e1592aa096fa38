"""Videos and folders of frames: times, turns, order, and what is broken, by both libraries that read them."""

import importlib
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from refine.errors import InputError
from refine.photo.clip import USUAL_FPS, open_clip
from refine.photo.video import Decoder, Video, open_video, ranges, usual_decoder
from tests.video_files import corner_of, damage, number_of, picture, turn, write_sound, write_video

UNEVEN = (0.0, 0.033, 0.083, 0.103, 0.203, 0.236, 0.736, *(0.776 + 0.04 * step for step in range(14)))
"""Times of frames as a phone gives them: it waits for light, and pauses."""
EVEN = tuple(step / 25 for step in range(21))


@pytest.fixture(params=["video_av", "video_opencv"])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    pytest.importorskip("av", reason="the package av, an extra of the tests, is not installed")
    return importlib.import_module(f"refine.photo.{request.param}")  # type: ignore[return-value]


@pytest.fixture
def by_av() -> Decoder:
    pytest.importorskip("av", reason="the package av, an extra of the tests, is not installed")
    return importlib.import_module("refine.photo.video_av")  # type: ignore[return-value]


def numbers(video: Video) -> list[int]:
    return [number for number, pixels in video.reading() if number == number_of(pixels)]


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.webm", "libvpx-vp9")])
def test_a_frame_has_the_time_at_which_it_was_taken(tmp_path: Path, decoder: Decoder, name: str, codec: str) -> None:
    video = open_video(write_video(tmp_path / name, UNEVEN, codec=codec), decoder)
    assert np.abs(video.time_s - UNEVEN).max() < 6e-4  # the file counts milliseconds
    assert numbers(video) == list(range(len(UNEVEN))) and video.size == (48, 64) and not video.notes


def test_a_video_that_begins_late_begins_at_zero(tmp_path: Path, decoder: Decoder) -> None:
    video = open_video(write_video(tmp_path / "late.mkv", [time + 3 for time in EVEN]), decoder)
    assert video.time_s[0] == 0 and np.abs(np.diff(video.time_s) - 0.04).max() < 1.1e-3


@pytest.mark.parametrize(
    ("degrees", "corner"), [(0, "top left"), (90, "top right"), (180, "bottom right"), (270, "bottom left")]
)
def test_a_phone_that_was_turned_gives_upright_frames(
    tmp_path: Path, decoder: Decoder, degrees: int, corner: str
) -> None:
    path = write_video(tmp_path / "turned.mp4", EVEN)
    turn(path, degrees)
    video = open_video(path, decoder)
    assert video.size == ((64, 48) if degrees in (90, 270) else (48, 64))
    assert [corner_of(pixels) for _, pixels in video.reading()] == len(EVEN) * [corner]


def test_frames_asked_for_out_of_order_are_the_same(tmp_path: Path, decoder: Decoder) -> None:
    reading = open_video(write_video(tmp_path / "a.mp4", UNEVEN, options={"g": "6"}), decoder).reading()
    for number in (5, 5, 6, 2, 20, 0, 19, 7):
        assert number_of(reading.read(number)) == number
    for number in (-1, len(UNEVEN)):
        with pytest.raises(InputError, match=f"a frame {number}, got a video of {len(UNEVEN)}"):
            reading.read(number)


def test_frames_far_ahead_are_sought_and_are_the_same(
    tmp_path: Path, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refine.photo.video.JUMP", 2)
    reading = open_video(write_video(tmp_path / "a.mp4", UNEVEN, options={"g": "4"}), decoder).reading()
    assert [number_of(reading.read(number)) for number in (3, 9, 18, 1, 20)] == [3, 9, 18, 1, 20]


def test_each_frame_is_decoded_once_and_none_is_kept(
    tmp_path: Path, decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    plain = decoder.frames
    photos = open_video(write_video(tmp_path / "a.mp4", EVEN), decoder).photos()
    monkeypatch.setattr(decoder, "frames", lambda *given: opened.append(given[2]) or plain(*given))
    assert [number_of(photo.pixels) for photo in photos] == list(range(len(EVEN)))
    assert opened == [0] and all("_kept" not in vars(photo) for photo in photos)


def test_what_lies_behind_a_damage_is_used_and_the_damage_is_said(tmp_path: Path, by_av: Decoder) -> None:
    path = write_video(tmp_path / "a.mp4", EVEN, options={"g": "5", "bf": "0"})
    damage(path, [7, 8, 9])
    reading = open_video(path, by_av).reading()
    found = {number: number_of(pixels) for number, pixels in reading}
    whole = [number for number in range(len(EVEN)) if number not in range(7, 10)]
    assert [number for number in whole if found.get(number) != number] == []
    assert all(number in found for number in whole)
    if reading.lost:
        assert "could not be decoded" in reading.notes[-1]


def test_a_frame_that_cannot_be_decoded_moves_no_other_and_is_refused_alone(tmp_path: Path, by_av: Decoder) -> None:
    path = write_video(tmp_path / "a.avi", EVEN, codec="mpeg4", options={"g": "1"})
    damage(path, [7, 8], empty=True)
    reading = open_video(path, by_av).reading()
    assert [number for number, pixels in reading if number == number_of(pixels)] == [
        number for number in range(len(EVEN)) if number not in (7, 8)
    ]
    assert reading.lost == [7, 8] and "frames 7-8 could not be decoded" in reading.notes[-1]
    with pytest.raises(InputError, match="frame 8, got one that cannot be decoded"):
        reading.read(8)
    assert number_of(reading.read(9)) == 9


def test_a_video_that_breaks_off_gives_what_is_there_and_says_so(tmp_path: Path, decoder: Decoder) -> None:
    path = write_video(tmp_path / "a.mp4", EVEN, options={"g": "5", "bf": "0"})
    from_start = path.with_name("start.mp4")
    _index_first(path, from_start)
    content = from_start.read_bytes()
    from_start.write_bytes(content[: round(0.75 * len(content))])
    video = open_video(from_start, decoder)
    found = numbers(video)
    assert found == list(range(len(found))) and 0 < len(found) < len(EVEN)
    assert any("is damaged; it holds" in note for note in video.notes)


def _index_first(path: Path, to: Path) -> None:
    """Copy an mp4 with its index before its frames, as those made for the web have it."""
    import av

    with av.open(str(path)) as source, av.open(str(to), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)


def test_an_mp4_without_its_index_is_refused(tmp_path: Path, decoder: Decoder) -> None:
    path = write_video(tmp_path / "a.mp4", EVEN)
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match=r"a\.mp4"):
        open_video(path, decoder)


def test_sound_alone_is_no_video(tmp_path: Path, decoder: Decoder) -> None:
    path = write_sound(tmp_path / "song.mp4")
    with pytest.raises(InputError, match="sound alone"):
        open_video(path, decoder)


@pytest.mark.parametrize("name", ["still.jpg", "still_0001.png", "still.mp4"])
def test_a_still_photo_is_no_video(tmp_path: Path, decoder: Decoder, name: str) -> None:
    path = tmp_path / name
    coded = cv2.imencode(".png", picture(3))[1]
    path.write_bytes(coded.tobytes())
    with pytest.raises(InputError, match="a still photo"):
        open_video(path, decoder)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("notes.txt", b"This is no video.\n" * 40),
        ("people.pkl", b"\x80\x04N."),
        ("a.mp4", bytes(range(256)) * 9),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:1,\nother.mp4\n"),
        ("empty.mp4", b""),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, by_av: Decoder, name: str, content: bytes) -> None:
    write_video(tmp_path / "other.mp4", EVEN)
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=name):
        open_video(path, by_av)
    with pytest.raises(InputError, match="nowhere"):
        open_video(tmp_path / "nowhere.mp4", by_av)
    with pytest.raises(InputError, match="a folder"):
        open_video(tmp_path, by_av)


def test_a_video_whose_frames_change_their_size_is_refused_there(tmp_path: Path, by_av: Decoder) -> None:
    small = write_video(tmp_path / "a.mkv", EVEN)
    video = open_video(small, by_av)

    class Grows:
        index = staticmethod(by_av.index)

        @staticmethod
        def frames(path, index, first):  # type: ignore[no-untyped-def]
            for number, pixels in by_av.frames(path, index, first):
                yield number, pixels if number < 4 else np.repeat(pixels, 2, 0)

    reading = Video(video.path, video.index, Grows()).reading()
    assert number_of(reading.read(3)) == 3
    with pytest.raises(InputError, match=r"64 x 96 px .* in frame 4 after 64 x 48"):
        reading.read(4)


def test_a_video_that_changed_on_the_disk_is_gone_through_anew(tmp_path: Path, decoder: Decoder) -> None:
    path = tmp_path / "a.mkv"
    assert len(open_video(write_video(path, EVEN), decoder)) == len(EVEN)
    assert len(open_video(write_video(path, EVEN[:5]), decoder)) == 5


def test_pyav_reads_where_it_is_installed_and_opencv_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name == "av" else None)
    assert getattr(usual_decoder(), "__name__", "") == "refine.photo.video_av"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert getattr(usual_decoder(), "__name__", "") == "refine.photo.video_opencv"


def test_a_folder_of_photos_is_a_clip_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 8, 4):
        cv2.imwrite(str(tmp_path / f"frame_{number}.png"), picture(number))
    (tmp_path / "notes.txt").write_text("")
    clip = open_clip(tmp_path, fps=10.0)
    assert [number_of(photo.pixels) for photo in clip.photos] == [2, 4, 8, 10]
    assert clip.time_s.tolist() == [0, 0.1, 0.3, 0.4] and clip.size == (48, 64) and len(clip) == 4
    assert any("1 number(s)" in note for note in clip.notes)
    usual = open_clip(tmp_path)
    assert np.allclose(usual.time_s, np.array([0, 1, 3, 4]) / USUAL_FPS) and "fps=" in usual.notes[-1]


@pytest.mark.parametrize("names", [("b", "a", "c"), ("0917", "170288812", "9999999999")])
def test_photos_without_counting_numbers_follow_each_other(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture(1))
    clip = open_clip(tmp_path, fps=2.0)
    assert [photo.path and photo.path.stem for photo in clip.photos] == sorted(names, key=lambda n: (len(n), n))
    assert clip.time_s.tolist() == [0, 0.5, 1] and clip.notes == () and clip.fps == 2


def test_a_video_is_a_clip(tmp_path: Path, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refine.photo.video.usual_decoder", lambda: decoder)
    clip = open_clip(write_video(tmp_path / "a.mp4", EVEN))
    assert [number_of(photo.pixels) for photo in clip.photos] == list(range(len(EVEN)))
    assert abs(clip.fps - 25) < 0.1 and clip.size == clip.photos[0].size == (48, 64)
    with pytest.raises(InputError, match="times of its own"):
        open_clip(clip.path, fps=25.0)


def test_a_folder_that_is_no_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder without any"):
        open_clip(tmp_path)
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture(number, width=64 + 8 * number))
    with pytest.raises(InputError, match=r"72 x 48 px \(w x h\) in 1.png, 64 x 48 before"):
        open_clip(tmp_path)
    for fps in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="fps"):
            open_clip(tmp_path, fps=fps)


def test_stretches_of_frames_are_named_shortly() -> None:
    assert ranges([7]) == "frame 7" and ranges([3, 4, 5, 9]) == "frames 3-5, 9"
    assert ranges(list(range(0, 40, 2))).endswith("14 and 12 more stretches")
