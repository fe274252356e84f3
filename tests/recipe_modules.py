"""Imports the scripts beside the package, wherever pytest was started."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
an4 = importlib.import_module("recipes.an4.prepare")
arabic_speech_commands = importlib.import_module("recipes.arabic_speech_commands.prepare")
books = importlib.import_module("recipes.books.prepare")
fsdd = importlib.import_module("recipes.fsdd.prepare")
librispeech = importlib.import_module("recipes.librispeech.prepare")
phones = importlib.import_module("recipes.phones.prepare")
speech_commands = importlib.import_module("recipes.speech_commands.prepare")
wake_word = importlib.import_module("recipes.wake_word.prepare")
pack_fsdd = importlib.import_module("data.pack_fsdd")
make_samples = importlib.import_module("data.make_samples")
sys.path.remove(str(ROOT))
