"""CTC-CRF in training: which language competes, and what comes of it."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from corpora import make_data, make_task, write_corpus
from networks import CHARACTERS
from trainers import make_trainer

from speechrnn.errors import ConfigError, ModelFileError
from speechrnn.lm.estimate import estimate_model
from speechrnn.lm.files import write_lm
from speechrnn.nn.crf_loss import log_partition
from speechrnn.nn.ctc_loss import ctc_loss
from speechrnn.text import Vocabulary
from speechrnn.training.competition import Competition, CompetitionConfig, read_language
from speechrnn.training.ctc_task import CTCTask

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*number of training batches.*"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.*"),
]
PHONES = Vocabulary(("AA", "B", "K", "ZH"), "phone")
SENTENCES = ["AA B", "K AA B", "B AA K AA", "K K AA"]


def write_phone_lm(folder: Path, *, order: int = 3) -> str:
    model = estimate_model([sentence.split() for sentence in SENTENCES], order=order)
    path = folder / "phones.arpa"
    write_lm(model, path)
    return str(path)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_table_is_what_the_language_model_says(tmp_path: Path, order: int) -> None:
    lm = estimate_model([sentence.split() for sentence in SENTENCES], order=order)
    table = read_language(write_phone_lm(tmp_path, order=order), PHONES)
    aa, b, k = (PHONES.ids[token] for token in ("AA", "B", "K"))
    blank = PHONES.blank
    scores = lm.score_sentence(["K", "AA", "B"])  # natural logs of K, AA, B and </s>
    assert table[blank, blank, k].log().item() == pytest.approx(scores[0], abs=1e-5)
    assert table[blank, k, aa].log().item() == pytest.approx(scores[1], abs=1e-5)
    if order <= 3:  # beyond, the beginning would count as well
        assert table[k, aa, b].log().item() == pytest.approx(scores[2], abs=1e-5)
    assert (table[..., blank] == 0).all()
    assert (table.sum(-1) <= 1 + 1e-6).all()


def test_a_token_that_the_language_lacks_is_its_unknown_word(tmp_path: Path) -> None:
    lm = estimate_model([sentence.split() for sentence in SENTENCES], order=3)
    table = read_language(write_phone_lm(tmp_path), PHONES)
    log_prob, _ = lm.score(lm.begin_state(), lm.unknown)
    assert table[PHONES.blank, PHONES.blank, PHONES.ids["ZH"]].item() == pytest.approx(
        math.exp(log_prob), rel=1e-5
    )


def test_a_language_model_of_words_is_refused(tmp_path: Path) -> None:
    write_lm(estimate_model([["yes"], ["no"]], order=2), tmp_path / "words.arpa")
    with pytest.raises(
        ConfigError, match=r"words.arpa must know the tokens AA, B, K, …; it knows words such as yes, no"
    ):
        read_language(str(tmp_path / "words.arpa"), PHONES)


def test_characters_find_their_space(tmp_path: Path) -> None:
    model = estimate_model([["a", "<space>", "b"]] * 3, order=2, unit="character")
    write_lm(model, tmp_path / "characters.arpa")
    letters = Vocabulary(("a", "b", " "), "character")
    table = read_language(str(tmp_path / "characters.arpa"), letters)
    assert table[letters.blank, letters.ids["a"], letters.ids[" "]] > 0.5


def test_the_loss_is_what_all_sequences_have_and_the_target_has_not(tmp_path: Path) -> None:
    competition = Competition(CompetitionConfig(lm=write_phone_lm(tmp_path), ctc_weight=0.5), PHONES)
    log_probs = torch.randn(3, 9, 5, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    lengths = torch.tensor([9, 9, 1])
    targets, target_lengths = (
        torch.tensor([[1, 2], [3, 0], [1, 2]]),
        torch.tensor([2, 1, 2]),
    )  # the last cannot be
    ctc = ctc_loss(log_probs, lengths, targets, target_lengths, blank=0)
    sums = log_partition(log_probs, lengths, competition.language, blank=0)
    expected = 1.5 * ctc.utterance_losses[:2].sum() + sums[:2].sum()
    total = competition.total_loss(ctc, log_probs, lengths)
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)


def train(tmp_path: Path, corpus: Path, competition: CompetitionConfig, **options: Any) -> CTCTask:
    task: CTCTask = make_task(competition=competition, **options)
    make_trainer(tmp_path, max_epochs=3).fit(task, datamodule=make_data(corpus))
    return task


def character_lm(tmp_path: Path) -> str:
    tokens = ["<space>" if token == " " else token for token in CHARACTERS.tokens]
    write_lm(
        estimate_model([tokens] * 2, order=2, unit="character"), tmp_path / "letters.arpa", overwrite=True
    )
    return str(tmp_path / "letters.arpa")


def test_a_network_is_trained_with_it_and_the_loss_falls(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    task: CTCTask = make_task(competition=CompetitionConfig(lm=character_lm(tmp_path)))
    losses = []
    task.log = lambda name, value, **_: losses.append(float(value)) if name == "train/competition" else None  # type: ignore[method-assign,assignment]
    make_trainer(tmp_path, max_epochs=12).fit(task, datamodule=make_data(corpus))
    assert sum(losses[-5:]) / 5 < sum(losses[:5]) / 5 - 0.2
    plain = train(tmp_path, corpus, CompetitionConfig())
    competing = train(tmp_path, corpus, CompetitionConfig(lm=character_lm(tmp_path)))
    pairs = zip(plain.model.parameters(), competing.model.parameters(), strict=True)
    assert not all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_the_language_is_needed_for_training_alone_and_is_not_saved(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus")
    task: CTCTask = make_task(competition=CompetitionConfig(lm="gone.arpa"))
    make_trainer(tmp_path).validate(task, make_data(corpus), verbose=False)
    with pytest.raises((ModelFileError, FileNotFoundError), match="gone.arpa"):
        make_trainer(tmp_path).fit(task, datamodule=make_data(corpus))
    trained = train(tmp_path, corpus, CompetitionConfig(lm=character_lm(tmp_path)))
    assert not [name for name in trained.state_dict() if not name.startswith("model.")]


def test_the_weight_is_checked() -> None:
    with pytest.raises(ConfigError, match=r"competition.ctc_weight must be >= 0, got -1"):
        CompetitionConfig(ctc_weight=-1.0)
