"""SKUs through all stages without a stop: each goes on to its next stage as soon as it has left one.

A batch per stage waits for its slowest SKU six times over, with the other workers idle. Here a thread takes a SKU,
carries it to the end of the line (or to where it breaks), and takes the next: as many SKUs are under way as there
are threads, so memory does not grow with the catalogue, and the first SKU is listed within seconds.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from catalog_assets.stages.line import Line
from catalog_assets.stages.memory import give_back, share_heaps
from catalog_assets.stages.pictures import forget, keeping
from catalog_assets.stages.stage import Stage, Step, perform, unchanged

Tell = Callable[[str, Step], None]
TURNS_BACK = 3
"""How often a SKU goes back because somebody else works on it too; two who disagree must not do so for ever."""
LOOKS_AT_ONCE = 32
"""Questions to a store in S3 at a time while SKUs are searched for what has changed."""


class Stream:
    """The SKUs of a catalogue on their way through the stages.

    Example::

        with Stream(line, stages, todo) as stream:
            for step in stream.steps("listing", ["A", "B"]):  # waits until both are there
                print(step.record.sku, step.outcome)

    Args:
        line: what the stages work with.
        stages: in the order of the line.
        todo: SKU to the name of the stage it starts at; SKUs are taken in this order.
        known: steps that need no work.
        tell: hears of every finished step, from the thread that made it, one at a time; of one twice where another
            run made the SKU go back.
    """

    def __init__(
        self,
        line: Line,
        stages: Sequence[Stage],
        todo: Mapping[str, str],
        known: Iterable[Step] = (),
        tell: Tell | None = None,
    ) -> None:
        self._line = line
        self._stages = {stage.name: stage for stage in stages}
        self._waiting = deque(todo.items())
        self._tell = tell
        self._steps = {(step.record.stage, step.record.sku): step for step in known}
        self._news = threading.Condition()
        self._stopped = False
        self.error: BaseException | None = None
        """What stopped the line itself, if anything did."""
        threads = max([stage.threads(line) for stage in stages], default=1)
        self._threads = [
            threading.Thread(target=self._work, name=f"sku-{n}", daemon=True)
            for n in range(min(threads, len(todo)))
        ]

    def __enter__(self) -> Stream:
        share_heaps(self._line.settings.workers)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Let each thread finish the stage it is in, so that nothing is half-made; then return."""
        with self._news:
            self._stopped = True
            self._news.notify_all()
        for thread in self._threads:
            thread.join()

    def steps(self, stage: str, skus: Sequence[str]) -> Iterator[Step]:
        """What a stage did for each of these SKUs, in their order; waits for what is not done yet.

        Only ask for SKUs that have not failed at an earlier stage.

        Raises:
            BaseException: what stopped the line itself, a full disk say; never what is wrong with a SKU.
        """
        for sku in skus:
            with self._news:
                while (stage, sku) not in self._steps:
                    if self.error is not None:
                        raise self.error
                    if self._stopped:
                        raise RuntimeError("the line was stopped")
                    self._news.wait(1.0)  # a signal that comes just before it would wait for the next step
                step = self._steps[stage, sku]
            yield step

    def finished(self) -> dict[tuple[str, str], Step]:
        """By stage and SKU what is done so far; waits for nothing."""
        with self._news:
            return dict(self._steps)

    def _work(self) -> None:
        try:
            while (taken := self._take()) is not None:
                with keeping(), self._line.manifest.remembering():
                    self._carry(*taken)
                give_back(1.0)
        except BaseException as error:  # noqa: BLE001  handed to whoever waits for the steps
            with self._news:
                self.error = self.error or error
                self._stopped = True
                self._news.notify_all()

    def _take(self) -> tuple[str, str] | None:
        with self._news:
            return self._waiting.popleft() if self._waiting and not self._stopped else None

    def _carry(self, sku: str, start: str) -> None:
        names = list(self._stages)
        at, turns = names.index(start), TURNS_BACK
        while at < len(names):
            if self._overtaken(sku, names[:at]) and turns:
                at, turns = 1, turns - 1
            name = names[at]
            step = perform(self._stages[name], self._line, sku)
            with self._news:
                self._steps[name, sku] = step
                if self._tell:
                    self._tell(name, step)
                self._news.notify_all()
            if step.outcome == "failed" or self._stopped:
                return
            at += 1

    def _overtaken(self, sku: str, before: Sequence[str]) -> bool:
        """Whether another run has taken in or cut out another photo since; then nothing remembered holds any more.

        A photo that is replaced twice within a minute is on its way in two runs. Whoever finds the other's record
        goes back to the second stage, where what the other has made already is passed over.

        Args:
            sku: the SKU at hand.
            before: the stages it has been through. Of these the first two make what all other pictures show.
        """
        manifest = self._line.manifest
        if not any(manifest.outdated(name, sku) for name in before[:2]):
            return False
        manifest.forget()
        forget()
        self._line.prepare([sku])  # its row may be another one, too
        return True


def survey(line: Line, stages: Sequence[Stage], sku: str) -> list[Step]:
    """The stages, from the first on, that have nothing to do for a SKU; all of them where it is unchanged."""
    done: list[Step] = []
    for stage in stages:
        step = unchanged(stage, line, sku)
        if step is None:
            break
        done.append(step)
    return done


def survey_all(line: Line, stages: Sequence[Stage], skus: Sequence[str]) -> dict[str, list[Step]]:
    """:func:`survey` by SKU; many at a time where the store is remote and looking is waiting."""
    line.prepare(skus)
    with ThreadPoolExecutor(LOOKS_AT_ONCE if line.store.remote else 1) as pool:
        return dict(zip(skus, pool.map(lambda sku: survey(line, stages, sku), skus), strict=True))
