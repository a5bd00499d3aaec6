"""The Python client: submits videos, follows jobs and fetches results, over HTTP alone.

May import ``schemas`` and ``clipzy_storage.models``; a program that imports it loads neither Flask nor the server.
"""

from clipzy_api.client.client import Client
from clipzy_api.client.errors import (
    ClipzyError,
    DownloadFailed,
    FrontEndUnreachable,
    JobFailed,
    UnexpectedAnswer,
    UnusableFile,
    UploadFailed,
    WaitTimeout,
)
from clipzy_api.client.events import Event
from clipzy_api.fleet_schemas import Fleet
from clipzy_api.schemas import Delivery, Job, JobPage, Me, Result, Video
from clipzy_storage.models.job_config import JobConfig
from clipzy_storage.models.records import Queue, Status

__all__ = [
    "Client",
    "ClipzyError",
    "Delivery",
    "DownloadFailed",
    "Event",
    "Fleet",
    "FrontEndUnreachable",
    "Job",
    "JobConfig",
    "JobFailed",
    "JobPage",
    "Me",
    "Queue",
    "Result",
    "Status",
    "UnexpectedAnswer",
    "UnusableFile",
    "UploadFailed",
    "Video",
    "WaitTimeout",
]
