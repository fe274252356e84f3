"""The packages that everything needs: which of them do not load, and how to mend that. Imports none of them itself."""

import importlib

BASE_PACKAGES = ("numpy", "soundfile", "soxr", "onnxruntime")


def find_broken() -> dict[str, str]:
    """Load each package of the base install; of those that fail, why and what to do about it."""
    broken = {}
    for package in BASE_PACKAGES:
        try:
            importlib.import_module(package)
        except Exception as error:  # a library behind it may be missing, or another package it needs
            broken[package] = (
                f"does not load: {type(error).__name__}: {error}; pip install --force-reinstall {package}"
            )
    return broken
