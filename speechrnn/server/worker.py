"""The one thread that runs the model: it takes all that waits at once, so that clients share batches."""

import queue
import threading
from concurrent.futures import Future

from speechrnn.audio import Waveform
from speechrnn.errors import SpeechRNNError
from speechrnn.runtime import Transcriber, Transcription

MOST_AT_ONCE_S = 240.0  # of audio that is taken in one go; the clips behind it wait for no more than this


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
            What will hold the transcription, or the ``SpeechRNNError`` that it met. Cancelled before its
            turn it costs nothing.
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
            running = [job for job in jobs if job[1].set_running_or_notify_cancel()]
            try:
                self._run(running)
            except Exception as error:  # the next job must not wait for ever because of a bug in this one
                for _, future in running:
                    if not future.done():
                        future.set_exception(error)

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
        waveforms = [waveform for waveform, _ in jobs]
        answers = self.transcriber.transcribe_each(waveforms, self.transcriber.info.sample_rate)
        for (_, future), answer in zip(jobs, answers, strict=True):
            if isinstance(answer, SpeechRNNError):
                future.set_exception(answer)
            else:
                future.set_result(answer)
