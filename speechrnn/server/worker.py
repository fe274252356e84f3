"""The one thread that runs the model: it takes all that waits at once, so that clients share batches."""

import collections
import queue
import threading
from concurrent.futures import Future

from speechrnn.audio import Waveform
from speechrnn.errors import SpeechRNNError
from speechrnn.runtime import Transcriber, Transcription

MOST_AT_ONCE_S = 240.0  # of audio that is taken in one go; the clips behind it wait for no more than this


class GivenUpError(SpeechRNNError):
    """A job whose future was cancelled while it ran."""


class Worker:
    """Transcribe waveforms from any thread, first come, first served."""

    def __init__(self, transcriber: Transcriber) -> None:
        self.transcriber = transcriber
        self._waiting: queue.SimpleQueue[tuple[Waveform, Future[Transcription]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="speechrnn-worker", daemon=True)
        self._thread.start()

    def submit(self, waveform: Waveform) -> "Future[Transcription]":
        """Ask for a transcription.

        Args:
            waveform: (samples,) at the model's rate.

        Returns:
            What will hold the transcription, or the ``SpeechRNNError`` that it met. It can be cancelled at
            any time: before its turn it costs nothing then, and a long recording is heard no further.
        """
        future: Future[Transcription] = Future()
        self._waiting.put((waveform, future))
        return future

    def close(self) -> None:
        """Finish what waits, then stop."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        """Work until closed."""
        is_open = True
        while is_open:
            jobs, is_open = self._take()
            wanted = [job for job in jobs if not job[1].cancelled()]
            try:
                self._run(wanted)
            except Exception as error:  # the next job must not wait for ever because of a bug in this one
                for _, future in wanted:
                    settle(future, error)

    def _take(self) -> tuple[list[tuple[Waveform, "Future[Transcription]"]], bool]:
        """Wait for a job and take those behind it along; False if there are no more to come."""
        jobs: list[tuple[Waveform, Future[Transcription]]] = []
        room = MOST_AT_ONCE_S * self.transcriber.info.sample_rate
        job = self._waiting.get()
        while job is not None:
            jobs.append(job)
            room -= len(job[0])
            if room <= 0 or self._waiting.empty():
                return jobs, True
            job = self._waiting.get()
        return jobs, False

    def _run(self, jobs: list[tuple[Waveform, "Future[Transcription]"]]) -> None:
        """Transcribe together."""
        waiting = collections.deque(future for _, future in jobs)

        def check_wanted(heard_s: float, duration_s: float | None) -> None:
            if waiting[0].cancelled():
                raise GivenUpError("nobody waits for the answer any more")

        waveforms, rate = [waveform for waveform, _ in jobs], self.transcriber.info.sample_rate
        answers = self.transcriber.transcribe_each(waveforms, rate, on_heard=check_wanted)
        for (_, future), answer in zip(jobs, answers, strict=True):
            settle(future, answer)
            waiting.popleft()


def settle(future: "Future[Transcription]", answer: Transcription | Exception) -> None:
    """Hand over what came of a job, unless it was given up or has its answer.

    Until then the future stays pending, so that it can be cancelled.
    """
    if future.done() or not future.set_running_or_notify_cancel():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
