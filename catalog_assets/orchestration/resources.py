"""What assets are given: the production line, and S3 where the inventory lies there.

Belongs here: how settings reach a run. Not: what is done with them.
"""

from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource
from pydantic import PrivateAttr

from catalog_assets.settings import load_settings
from catalog_assets.stages.line import Line


class LineResource(dg.ConfigurableResource):
    """The production line. An empty field takes its value from the settings (environment, file, default).

    Example::

        build_defs({"line": LineResource(inventory="inventory", store="s3://shop/store", s3=S3Resource())})
    """

    inventory: str = ""
    store: str = ""
    engine: str = ""
    workers: int = 0
    s3: S3Resource

    _line: Line | None = PrivateAttr(default=None)

    def line(self) -> Line:
        """The line, built once per run."""
        if self._line is None:
            given: dict[str, Any] = {
                name: getattr(self, name)
                for name in ("inventory", "store", "engine", "workers")
                if getattr(self, name)
            }
            self._line = Line(load_settings().with_(**given), self.s3.get_client)
        return self._line
