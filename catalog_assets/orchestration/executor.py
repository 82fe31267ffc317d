"""Where steps run: in the run's own process by default, on Celery or Kubernetes by configuration.

One stage per run and one interpreter per run means one model load per batch; a process per step would pay
for it again and again. On several machines Celery workers stay warm; Kubernetes launches a pod per run.
"""

from __future__ import annotations

import dagster as dg

VARIABLE = "CATALOG_EXECUTOR"


def executor(name: str) -> dg.ExecutorDefinition:
    """The executor of a name.

    Args:
        name: ``in_process``, ``celery`` or ``kubernetes``, as the settings have it.

    Raises:
        ValueError: an unknown name, or the extra that brings the executor is not installed.
    """
    try:
        if name == "in_process":
            return dg.in_process_executor
        if name == "celery":
            from dagster_celery import celery_executor  # pyright: ignore[reportMissingImports]

            return celery_executor
        if name == "kubernetes":
            from dagster_k8s import k8s_job_executor  # pyright: ignore[reportMissingImports]

            return k8s_job_executor
    except ImportError as error:
        raise ValueError(
            f"{VARIABLE}={name} needs the extra {name!r}: pip install 'catalog-assets[{name}]' ({error})"
        ) from None
    raise ValueError(f"{VARIABLE} is {name!r}: write in_process, celery or kubernetes")
