"""What can go wrong, by the thing that is wrong. Messages say place, value, condition, cure."""


class SpeechRNNError(Exception):
    """Any error that the user of speechrnn can cause and mend."""


class AudioError(SpeechRNNError):
    """Audio that cannot be read or cannot be used."""


class LongAudioError(AudioError):
    """Audio that is longer than whoever reads it will take."""


class TextError(SpeechRNNError):
    """A transcript or label that the vocabulary cannot spell, or a vocabulary that is wrong."""


class ManifestError(SpeechRNNError):
    """A manifest, or one line of it, that cannot be used."""


class ConfigError(SpeechRNNError):
    """A setting outside its range, or one that does not exist."""


class CheckpointError(SpeechRNNError):
    """A training checkpoint that cannot be loaded or written."""


class ModelFileError(SpeechRNNError):
    """A model file that cannot be read, or that speechrnn did not write."""


class TrainingError(SpeechRNNError):
    """Training that cannot go on."""
