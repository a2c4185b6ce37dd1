"""Progress of sampling, shown in one line."""

import sys
import time

from wavenet_tf.sampling.plan import Plan


class ProgressBar:
    """One line that shows how much audio is sampled, how fast, and how long the rest takes.

    Args:
        num_samples: samples per stream.
        sample_rate: in Hz.
        plan: how the streams are sampled.
    """

    def __init__(self, num_samples: int, sample_rate: int, plan: Plan):
        self.num_samples = num_samples
        self.sample_rate = sample_rate
        self.started = time.perf_counter()
        # Time and samples at the end of the first block: compiling does not count in the speed.
        self.first_block: tuple[float, int] | None = None
        self.next_time = 0.0
        self._show(f"{plan}; compiling ...", last=True)

    def update(self, done: int, streams: int) -> None:
        """Shows that `done` samples of each of `streams` are sampled."""
        now = time.perf_counter()
        if self.first_block is None:
            self.first_block = now, done
            self._show(f"first block of audio after {now - self.started:.1f} s", last=True)
        started, before = self.first_block
        last = done == self.num_samples
        if not last and (now < self.next_time or not sys.stderr.isatty()):
            return
        self.next_time = now + 0.1
        seconds, total = done / self.sample_rate, self.num_samples / self.sample_rate
        line = f"{100 * done // self.num_samples:3d}% {seconds:.1f} of {total:.1f} s"
        if done > before:
            speed = (done - before) / (now - started)
            left = (self.num_samples - done) / speed
            line += (
                f", {streams * speed:,.0f} samples/s, real-time factor "
                f"{speed / self.sample_rate:.2f}, {left:.0f} s left"
            )
        self._show(line, last=last)

    def _show(self, line: str, last: bool) -> None:
        """Replaces the line shown, and starts a new line after the last one."""
        start = "\r" if sys.stderr.isatty() else ""
        print(f"{start}{line:<79}", end="\n" if last else "", file=sys.stderr, flush=True)
