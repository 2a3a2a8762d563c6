"""Frames of the prediction log read back as written, whatever became of the end of the file."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from tilth.wire.predictions import PredictionFrame, encode, encode_uncopied, iterate, row_id, scan

texts = st.text(max_size=20)
frames = st.builds(
    PredictionFrame,
    prediction_id=texts,
    moment=st.integers(0, 2**50),
    deployment_id=texts,
    version=texts,
    content_type=texts,
    request_id=texts,
    body=st.binary(max_size=200),
    answer=st.binary(max_size=200),
    rows=st.integers(0, 10_000),
)
segments = st.lists(frames, max_size=5)


@given(segments)
def test_frames_read_back_as_written(written: list[PredictionFrame]) -> None:
    segment = io.BytesIO(b"".join(map(encode, written)))
    assert list(iterate(segment)) == written


@given(segments)
def test_frames_in_pieces_read_back_as_written(written: list[PredictionFrame]) -> None:
    pieces = [piece for frame in written for piece in encode_uncopied(frame)]
    assert list(iterate(io.BytesIO(b"".join(pieces)))) == written


@given(segments, st.data())
def test_a_segment_cut_anywhere_gives_the_whole_frames_before_the_cut(
    written: list[PredictionFrame], data: st.DataObject
) -> None:
    encoded = [encode(frame) for frame in written]
    whole = b"".join(encoded)
    cut = data.draw(st.integers(0, len(whole)))
    kept = [frame for at, frame in enumerate(written) if len(b"".join(encoded[: at + 1])) <= cut]
    torn = io.BytesIO(whole[:cut])
    assert list(iterate(torn)) == kept
    torn.seek(0)
    found = scan(torn)
    assert found.frames == len(kept)
    assert found.good_bytes + found.torn_bytes == cut


@given(segments.filter(bool), st.data())
def test_a_changed_byte_is_never_read_as_a_prediction(written: list[PredictionFrame], data: st.DataObject) -> None:
    whole = bytearray(b"".join(map(encode, written)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    read = list(iterate(io.BytesIO(bytes(whole))))
    assert read == written[: len(read)]
    assert len(read) < len(written)


@given(segments, st.binary(max_size=40))
def test_garbage_after_the_last_frame_is_left_out(written: list[PredictionFrame], garbage: bytes) -> None:
    segment = io.BytesIO(b"".join(map(encode, written)) + b"\0" + garbage)
    assert list(iterate(segment)) == written


def test_rows_are_named_after_their_request() -> None:
    assert row_id("abc", 3) == "abc.3"
