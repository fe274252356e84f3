"""How loud speech is above the noise around it, estimated from the recording alone."""

import numpy as np
from numpy.typing import NDArray

FRAME_S = 0.02
QUIET_SHARE = 0.1  # of the frames is taken for noise alone
MOST_DB = 60.0  # more than what 16-bit recordings of rooms have
LEAST_DB = -10.0


def estimate_snr_db(waveform: NDArray[np.float32], sample_rate: int) -> float | None:
    """Estimate the signal-to-noise ratio of a clip: its mean power over the power of its quietest moments.

    The quietest tenth of frames of 20 ms is taken for the noise, so the clip must have pauses, and noise that
    comes and goes counts as speech. Good for telling quiet recordings from noisy ones, not as a measurement.

    Args:
        waveform: (samples,).
        sample_rate: Hz.

    Returns:
        dB in [-10, 60]; None for digital silence and for clips shorter than ten frames.
    """
    length = round(FRAME_S * sample_rate)
    frames = waveform[: len(waveform) // length * length].reshape(-1, length).astype(np.float64)
    power = np.sort(np.square(frames - waveform.mean()).mean(axis=1)) if len(frames) else np.zeros(0)
    num_quiet = int(QUIET_SHARE * len(power))
    if num_quiet == 0 or power[-1] == 0:
        return None
    noise = power[:num_quiet].mean()
    speech = max(power.mean() - noise, 0.0)
    ratio_db = 10 * np.log10(max(speech, 1e-12) / max(noise, 1e-12))
    return float(np.clip(ratio_db, LEAST_DB, MOST_DB))
