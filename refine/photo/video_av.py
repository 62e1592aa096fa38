"""Videos by PyAV: times from the packets, without decoding; frames known by their own time stamps.

    number of a frame = place of its time stamp among those of the packets that are shown

so that a frame which cannot be decoded moves no other one, and a key frame that was sought says which it is.

Source: PyAV's documentation (Container.demux, Container.seek, VideoFrame.rotation); FFmpeg's, option format_whitelist.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from refine.errors import InputError
from refine.photo.header import orient
from refine.photo.video import WRITE_IT, Index, check_frame_size

if TYPE_CHECKING:
    import av

CONTAINERS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,asf,flv,gif,ogg,mxf,dv,ivf,m4v,yuv4mpegpipe,aac"
"""What FFmpeg may take a file for: no playlists, which name other files, no text, no single photos."""
SOUND = ",mp3,wav,flac,aiff,amr"
"""Files of sound alone: opened to be refused by name."""

EXIF_OF_TURN = {0: 1, 90: 8, 180: 3, 270: 6}
"""Exif's number of the turn that brings a frame upright, by its rotation in degrees against the clock."""


def index(path: Path) -> Index:
    """Go through a video's packets; only the first frame is decoded, for its size and turn.

    Raises:
        InputError: It is no video.
    """
    with _open(path) as container:
        stream = _picture(container, path)
        check_frame_size(path, stream.codec_context.height, stream.codec_context.width)
        stamps, damaged = _stamps(container, stream)
        unit, rate = stream.time_base, stream.average_rate
        aspect = stream.sample_aspect_ratio
        stated = stream.frames
    first = next(frames(path, Index((0, 0), np.zeros(0), ticks=stamps), 0), None)
    if first is None:
        raise InputError(f"video {path}", "frames that can be decoded", "none", WRITE_IT)
    notes = []
    if len(stamps) and np.unique(stamps).size == len(stamps) and unit is not None:
        time_s = (stamps - stamps[0]) * float(unit)
    else:
        stamps, counted = stamps[:0], len(stamps)
        count, step = max(counted, 1), float(1 / rate) if rate else 1 / 30
        time_s = np.arange(count) * step
        notes.append(f"{path.name}: frames have no times of their own; {1 / step:.6g} per second was taken.")
    if damaged or stated > len(time_s):
        of = f" of the {stated} that it states" if stated > len(time_s) else ""
        notes.append(f"{path.name}: the file is damaged; it holds {len(time_s)} frames{of}.")
    if aspect is not None and aspect not in (0, 1):
        notes.append(f"{path.name}: pixels are not square ({aspect}); frames are used as stored.")
    return Index(first[1].shape[:2], time_s, tuple(notes), stamps)


def frames(path: Path, index: Index, first: int) -> Iterator[tuple[int, np.ndarray]]:
    """Decode frames from a number at or before `first` on: number and (H, W, 3) uint8 RGB, upright."""
    import av

    place = {stamp: number for number, stamp in enumerate(index.ticks.tolist())}
    count = 0
    with _open(path) as container:
        stream = _picture(container, path)
        stream.thread_type = "AUTO"
        if first and place:
            _seek(container, stream, int(index.ticks[first]))
        for packet in _packets(container, stream):
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in decoded:
                stamp = frame.pts if frame.pts is not None else frame.dts
                number = place.get(stamp, -1) if place else count
                count += 1
                if number >= first and not frame.is_corrupt:
                    yield number, _upright(frame)


def _open(path: Path) -> "av.container.InputContainer":
    import av

    try:
        return av.open(str(path), options={"format_whitelist": CONTAINERS + SOUND, "protocol_whitelist": "file"})
    except (av.error.FFmpegError, ValueError) as error:
        got = getattr(error, "strerror", None) or str(error)
        raise InputError(f"video {path}", "a video FFmpeg can read", got, WRITE_IT) from error


def _picture(container: "av.container.InputContainer", path: Path) -> Any:
    """Return the stream of pictures; the cover of a song is none."""
    import av

    cover = av.stream.Disposition.attached_pic
    found = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not found:
        got = "sound alone" if container.streams.audio else "no picture"
        raise InputError(f"video {path}", "a video with pictures", got, "Give the file that holds the picture.")
    if found[0].codec_context is None:
        raise InputError(f"video {path}", "a video FFmpeg can decode", "an unknown codec", WRITE_IT)
    return found[0]


def _packets(container: "av.container.InputContainer", stream: Any) -> Iterator[Any]:
    """Return the packets of a stream, those up to where the file breaks off."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            yield next(packets)
        except (StopIteration, av.error.FFmpegError):
            return


def _stamps(container: "av.container.InputContainer", stream: Any) -> tuple[np.ndarray, bool]:
    """Return the times of the frames that are shown (N,) in the stream's unit, sorted, and whether one is damaged."""
    import av

    found: list[int] = []
    damaged, untimed = False, 0
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except av.error.FFmpegError:
            damaged = True
            break
        damaged |= bool(packet.is_corrupt)
        if packet.size and not packet.is_discard:
            stamp = packet.pts if packet.pts is not None else packet.dts
            untimed += stamp is None
            found.append(len(found) if stamp is None else stamp)
    stamps = np.sort(np.asarray(found, np.int64))
    return (np.zeros_like(stamps) if untimed else stamps), damaged


def _seek(container: "av.container.InputContainer", stream: Any, stamp: int) -> None:
    """Go to the key frame before a time; to the start where the file does not allow it."""
    import av

    try:
        container.seek(stamp, stream=stream, backward=True)
    except av.error.FFmpegError:
        container.seek(0)


def _upright(frame: Any) -> np.ndarray:
    """Return a frame's pixels (H, W, 3) RGB, turned as its tag says."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(orient(pixels, EXIF_OF_TURN.get(round(frame.rotation) % 360, 1)))
