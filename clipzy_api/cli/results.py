"""`clipzy result` and `clipzy download`."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from clipzy_api.cli import exit_statuses
from clipzy_api.cli.display import print_json, progress, table
from clipzy_api.cli.front_end import front_end
from clipzy_api.client import Result
from clipzy_storage.config.logs import escaped_text


def show_result(job_id: str, *, as_json: bool) -> int:
    """Print what the job has found. Raises ``click.ClickException``."""
    with front_end() as (client, _):
        if as_json:
            print_json(client.result_document(job_id))
            return exit_statuses.DONE
        result = client.result(job_id)
        for name, value in _facts(result):
            click.echo(f"{name:<12} {escaped_text(value)}")
        files = [(file.name, str(file.size_bytes), client.absolute(file.storage_url)) for file in result.artifacts]
        click.echo()
        click.echo(table(("FILE", "BYTES", "LINK"), files))
    return exit_statuses.DONE


def download(job_id: str, names: Sequence[str], directory: Path | None, *, overwrite: bool, as_json: bool) -> int:
    """Fetch files of the result, or all of them, and print their paths. Raises ``click.ClickException``."""
    directory = directory or Path(job_id)
    with front_end() as (client, _), progress("downloading") as show:
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


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    source, audio = result.source, result.audio
    yield "job_id", result.job_id
    yield "filename", source.filename
    rate = f", {source.frame_rate:g} fps" if source.frame_rate else ""
    yield "video", f"{source.video_codec}, {source.width}x{source.height}{rate}, {source.duration_seconds:.2f} s"
    if source.audio_codec:
        facts = [source.audio_codec]
        if audio and audio.integrated_lufs is not None:
            facts.append(f"{audio.integrated_lufs:.1f} LUFS")
        if audio and audio.tempo_bpm is not None:
            facts.append(f"{audio.tempo_bpm:.0f} bpm")
        yield "audio", ", ".join(facts)
    yield "shots", str(len(result.shots))
    for clip in result.clips:
        score = "" if clip.score is None else f", score {clip.score:.1f}"
        yield f"clip {clip.index}", f"{clip.start_seconds:.2f} to {clip.end_seconds:.2f} s{score}"
    for warning in result.warnings:
        yield "warning", warning
