"""Which samples an output frame needs."""

import pytest
from networks import make_config

from speechrnn.nn.encoder import KERNEL_SIZE
from speechrnn.nn.features import DELTA_REACH as NETWORK_DELTA_REACH
from speechrnn.runtime.frame_geometry import CONV_REACH, DELTA_REACH, FrameGeometry


def geometry(subsampling: int = 2, deltas: int = 0) -> FrameGeometry:
    config = make_config(encoder={"subsampling": subsampling}, features={"deltas": deltas})
    return FrameGeometry.from_config(config.to_dict())


def test_the_runtime_sees_as_far_as_the_network() -> None:
    assert CONV_REACH == KERNEL_SIZE // 2
    assert DELTA_REACH == NETWORK_DELTA_REACH


@pytest.mark.parametrize("subsampling", [1, 2, 4])
@pytest.mark.parametrize("num_samples", [0, 255, 256, 335, 336, 7000, 7080, 12_345])
def test_frames_are_counted_as_the_network_counts_them(subsampling: int, num_samples: int) -> None:
    config = make_config(encoder={"subsampling": subsampling})
    counts = geometry(subsampling)
    assert counts.num_outputs(counts.num_frames(num_samples)) == config.num_outputs(num_samples)


@pytest.mark.parametrize(
    ("subsampling", "deltas", "margin"),
    # Stride 1 and 1: 2 frames, then 2 more. Stride 2 and 1: frame 0 of the first convolution (its frame 1 is
    # centred on 2), then 2 more. Stride 2 and 2: frame 0, then outputs 0 and 1, centred on 0 and 2.
    # Each order of slopes spoils 2 feature frames: 2 + 2 * 2 = 6 at stride 2 are 3, and 2 more are 5.
    [(1, 0, 4), (2, 0, 3), (4, 0, 2), (2, 2, 5)],
)
def test_a_cut_spoils_the_frames_that_see_it(subsampling: int, deltas: int, margin: int) -> None:
    assert geometry(subsampling, deltas).margin == margin


@pytest.mark.parametrize(
    ("subsampling", "deltas", "num_frames"),
    # Output 4 is centred on feature frame 4, 8 or 16 and sees 2 + 2, 2 + 2 * 2 or 2 + 2 * 2 frames further;
    # slopes of second order see 4 more.
    [(1, 0, 9), (2, 0, 15), (4, 0, 23), (2, 2, 19)],
)
def test_five_outputs_need_the_frames_up_to_the_last_that_they_see(
    subsampling: int, deltas: int, num_frames: int
) -> None:
    assert geometry(subsampling, deltas).frames_for(5) == num_frames


def test_samples_are_counted_to_the_end_of_the_last_frame() -> None:
    assert geometry().num_samples(1) == 256
    assert geometry().num_samples(3) == 2 * 80 + 256
    assert geometry().samples_per_output == 160
