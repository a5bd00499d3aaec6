"""The calls that README.md shows do what is shown."""

import re
from pathlib import Path

from tests.support import console
from tests.support.deployment import Deployment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_calls_do_what_is_shown(tmp_path: Path, redis_url: str) -> None:
    # Given the calls, in which one job has an id
    calls = [(call, lines) for call, lines in console.commands_in(README) if call.startswith("curl ")]
    (shown_id,) = {job_id for call, _ in calls for job_id in re.findall(r"job_\w+…", call)}
    (tmp_path / "demo").symlink_to(ROOT / "demo")

    # When they are made one after the other, the others once the job of the first is finished
    with Deployment(tmp_path / "deployment", redis_url=redis_url) as stack:
        api = stack.web()
        stack.worker()
        submission, *others = (call.replace("http://127.0.0.1:8000", api.url) for call, _ in calls)
        printed, _ = console.run([submission], tmp_path)
        (job_id,) = re.findall(r'"job_id":"(\w+)"', printed[0][0])
        api.finished(job_id)
        more, _ = console.run([call.replace(shown_id, job_id) for call in others], tmp_path)

    # Then each prints what is shown
    expected = [(call, [line.replace(shown_id, job_id) for line in lines]) for call, lines in calls]
    console.assert_printed(expected, [*printed, *more])
    assert (tmp_path / "poster.jpg").read_bytes().startswith(b"\xff\xd8")
