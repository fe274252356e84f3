"""Pure tones, and which tone a waveform is."""

import torch


def tone(hz: float, sample_rate: int = 8000, num_samples: int = 8000) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(num_samples) / sample_rate).unsqueeze(0)


def pitch(waveform: torch.Tensor, sample_rate: int = 8000) -> float:
    spectrum = torch.fft.rfft(waveform[0]).abs()
    return float(spectrum.argmax()) * sample_rate / waveform.shape[1]
