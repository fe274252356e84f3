"""Imports the scripts beside the package, wherever pytest was started."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
an4 = importlib.import_module("recipes.an4.prepare")
fsdd = importlib.import_module("recipes.fsdd.prepare")
librispeech = importlib.import_module("recipes.librispeech.prepare")
pack_fsdd = importlib.import_module("data.pack_fsdd")
make_samples = importlib.import_module("data.make_samples")
sys.path.remove(str(ROOT))
