"""Everything a stage works with: the stores, the catalogue's snapshot, the brand, the model session."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from catalog_assets.catalogue.house import House, Houses
from catalog_assets.catalogue.inventory import FileStat, Inventory
from catalog_assets.catalogue.listing import list_bucket, list_folder, read_inventory
from catalog_assets.catalogue.rows import Problem
from catalog_assets.catalogue.snapshot import Entry, Size, Snapshot, Snapshots
from catalog_assets.catalogue.watch import BucketWatch, FolderWatch, Watch
from catalog_assets.settings import Settings
from catalog_assets.stages.memory import give_back
from catalog_assets.stages.turns import Turns
from catalog_assets.storage.manifest import Manifest
from catalog_assets.storage.store import Store

if TYPE_CHECKING:
    from catalog_assets.scenes.drawer import Drawer
    from catalog_assets.scenes.measured import PassRates
    from catalog_assets.scenes.pacing import Limiters
    from catalog_assets.weights import Predictor, Runtime

_predictor_lock = threading.Lock()


@cache
def _limiters() -> Limiters:
    """One pace per engine and key for every run of this process."""
    from catalog_assets.scenes.pacing import Limiters

    return Limiters()


class Line:
    """One catalogue's production line. Safe to share between the threads of a batch.

    Args:
        settings: the settings.
        s3_client: gives a boto3 S3 client when the inventory lies in S3.
    """

    def __init__(self, settings: Settings, s3_client: Callable[[], Any] | None = None) -> None:
        self.settings = settings
        self.store = Store(settings.store)
        self.inventory = Store(settings.inventory)
        self.manifest = Manifest(self.store)
        self.snapshots = Snapshots(self.store)
        self.houses = Houses(self.store)
        self.turns = Turns(settings.workers)
        self._s3_client = s3_client
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._sizes: dict[str, list[Size]] = {}

    # -- the inventory as it lies there now -------------------------------------------------

    def list_files(self, problems: list[Problem] | None = None) -> Iterable[FileStat]:
        """Every file of the inventory; what a person should mend in its folders is added to ``problems``."""
        if not self.inventory.remote:
            return list_folder(self.settings.inventory, problems)
        if self._s3_client is None:
            raise RuntimeError("an inventory in S3 needs an S3 client")
        return list_bucket(self._s3_client(), self.settings.inventory)

    def watch(self) -> Watch:
        """What tells changes of the inventory from the files already seen."""
        if not self.inventory.remote:
            return FolderWatch(self.settings.inventory)
        if self._s3_client is None:
            raise RuntimeError("an inventory in S3 needs an S3 client")
        return BucketWatch(self._s3_client(), self.settings.inventory)

    def look(self, files: Iterable[FileStat] | None = None) -> Inventory:
        """Read the catalogue and join it with the photos; nothing is stored."""
        problems: list[Problem] = []
        found = read_inventory(self.inventory, self.list_files(problems) if files is None else files)
        found.problems += problems
        return found

    def publish_catalogue(self) -> Snapshot:
        """Look at the inventory and make what is there the snapshot that stages work from."""
        snapshot = Snapshot.of(self.look())
        self.snapshots.publish(snapshot)
        self.forget()
        return snapshot

    def publish_house(self) -> House:
        """Read and validate ``brand.yaml``, ``scenes.yaml`` and what they name, and keep the result."""
        house = self.houses.publish(self.inventory)
        self.__dict__.pop("house", None)
        return house

    # -- what stages read ---------------------------------------------------------------------

    @cached_property
    def house(self) -> House:
        """The brand, scene templates, plates and channel packs last published."""
        return self.houses.load() or self.publish_house()

    def entry(self, sku: str) -> Entry | None:
        """The SKU's row and photos in the current snapshot; None where it is not (any more) there."""
        with self._lock:
            if sku not in self._entries:
                self._load([sku])
            return self._entries.get(sku)

    def sizes(self, sku: str) -> list[Size]:
        """Sizes of all products of the SKU's collection in the current snapshot; none without a collection."""
        entry = self.entry(sku)
        return self._sizes.get(entry.item.collection, []) if entry else []

    def prepare(self, skus: Iterable[str]) -> None:
        """Read a batch's rows in one go."""
        with self._lock:
            self._load(list(skus))

    def _load(self, skus: list[str]) -> None:
        snapshot = self.snapshots.load(self.snapshots.current_number()) or self.publish_catalogue()
        fresh = snapshot.entries(skus)
        collections = {entry.item.collection for entry in fresh.values()}
        self._sizes.update(snapshot.sizes(collections - self._sizes.keys()))
        self._entries.update(fresh)

    def forget(self) -> None:
        """Drop remembered rows, so that the next look reads the current snapshot."""
        self._entries = {}
        self._sizes = {}

    @cached_property
    def drawer(self) -> Drawer:
        """Draws scenes; keeps the ledger and never goes over the budget."""
        from catalog_assets.scenes.budget import Ceilings
        from catalog_assets.scenes.contract import Money, SceneEngine
        from catalog_assets.scenes.drawer import Drawer
        from catalog_assets.scenes.engines import engine_for
        from catalog_assets.scenes.retry import RetryPolicy

        def make(spec: str) -> SceneEngine:
            return engine_for(spec, plates=self.house.plates, in_flight=self.settings.in_flight)

        settings = self.settings
        run = None if settings.budget_run_usd is None else Money(settings.budget_run_usd)
        sku = None if settings.budget_sku_usd is None else Money(settings.budget_sku_usd)
        ceilings = Ceilings(day=Money(settings.budget_usd), run=run, sku=sku)
        return Drawer.open(
            self.store,
            ceilings,
            run=uuid.uuid4().hex,
            make_engine=make,
            policy=RetryPolicy(unknown=settings.retry_lost),
            limiters=_limiters(),
            aside=self.turns.aside,
        )

    @cached_property
    def pass_rates(self) -> PassRates:
        """How often each model's pictures passed, as last counted by the insights."""
        from catalog_assets.scenes.measured import read_pass_rates

        return read_pass_rates(self.store)

    def load_predictor(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Fetch the weights of the matting network, or of both, where they are missing, and see what runs them.

        Args:
            progress: hears of bytes got and bytes in all.

        Raises:
            WeightsError: they cannot be had, or the runtime is not installed; the text says what to do.
        """
        from catalog_assets.weights import networks, pull

        _ = self.runtime
        for name in networks(self.settings.matte_model):
            if name is not None:
                pull(name, progress=progress)

    @cached_property
    def runtime(self) -> Runtime:
        """What the networks run on in this process.

        Raises:
            WeightsError: ``CATALOG_MATTE_RUNTIME`` names one that is not installed.
        """
        from catalog_assets.weights import runtime_for

        return runtime_for(self.settings.matte_runtime)

    @cached_property
    def predictor(self) -> Predictor:
        """The matting network, loaded once per process; fetched first where it is missing.

        Raises:
            WeightsError: the weights cannot be had.
        """
        from catalog_assets.weights import networks

        return self._session(networks(self.settings.matte_model)[0])

    @cached_property
    def opinion(self) -> Predictor | None:
        """The second network, likewise; None where ``CATALOG_MATTE_MODEL`` names but one.

        Raises:
            WeightsError: the weights cannot be had.
        """
        from catalog_assets.weights import networks

        second = networks(self.settings.matte_model)[1]
        return None if second is None else self._session(second)

    def _session(self, name: str) -> Predictor:
        from catalog_assets.weights import matte_session

        with _predictor_lock:
            session = matte_session(name, callers=self.settings.workers, runtime=self.settings.matte_runtime)
        give_back()  # reading the weights needs twice their size for a moment
        return session
