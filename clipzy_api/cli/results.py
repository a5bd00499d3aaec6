"""`clipzy result` and `clipzy download`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from clipzy_api.cli import exit_statuses
from clipzy_api.cli.display import print_json, progress, table
from clipzy_api.cli.front_end import front_end
from clipzy_storage.config.logs import escaped_text


def show_result(job_id: str, *, as_json: bool) -> int:
    """Print what the job has found. Raises ``click.ClickException``."""
    with front_end() as (client, _):
        document = client.result_document(job_id)
        if as_json:
            print_json(document)
            return exit_statuses.DONE
        for name, value in _facts(document):
            click.echo(f"{name:<12} {escaped_text(value)}")
        files = document["artifacts"]
        rows = [(file["name"], str(file["size_bytes"]), client.absolute(file["storage_url"])) for file in files]
        click.echo()
        click.echo(table(("FILE", "BYTES", "LINK"), rows))
    return exit_statuses.DONE


def download(job_id: str, names: Sequence[str], directory: Path | None, *, overwrite: bool, as_json: bool) -> int:
    """Fetch files of the result, or all of them, and print their paths. Raises ``click.ClickException``."""
    directory = directory or Path(job_id)
    with front_end() as (client, _), progress("downloading", length=100) as show:
        paths = client.download(
            job_id,
            directory,
            names=names or None,
            overwrite=overwrite,
            on_progress=lambda done, total: show(done * 100 // max(1, total), "downloading"),
        )
    if as_json:
        print_json({"job_id": job_id, "directory": str(directory), "files": [str(path) for path in paths]})
    else:
        click.echo("\n".join(map(str, paths)))
    return exit_statuses.DONE


def _facts(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    source, audio = document["source"], document.get("audio")
    rate = f", {source['frame_rate']:g} fps" if source["frame_rate"] else ""
    yield "job_id", document["job_id"]
    yield "filename", source["filename"]
    size = f"{source['width']}x{source['height']}"
    yield "video", f"{source['video_codec']}, {size}{rate}, {source['duration_seconds']:.2f} s"
    if source["audio_codec"]:
        loudness = audio and audio.get("integrated_lufs")
        tempo = audio and audio.get("tempo_bpm")
        facts = [f"{loudness:.1f} LUFS"] if loudness is not None else []
        facts += [f"{tempo:.0f} bpm"] if tempo is not None else []
        yield "audio", ", ".join([source["audio_codec"], *facts])
    yield "shots", str(len(document["shots"]))
    for warning in document.get("warnings", []):
        yield "warning", warning
