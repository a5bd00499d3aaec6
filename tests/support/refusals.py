"""What every process that is refused has in common."""

from tests.support.deployment import Process

WAYS_OUT = ("run one worker", "LOCAL_STORAGE_SHARED=true", "STORAGE_TYPE=s3")


def refused(process: Process, *texts: str) -> str:
    """It ended with 78, with one message that says all of this, and without a traceback. Returns the message."""
    assert process.ends() == 78, process.output()
    complaint = [line for line in process.output().splitlines() if line.startswith("clipzy: ")]
    assert len(complaint) == 1, process.output()
    for text in texts:
        assert text in complaint[0], complaint[0]
    assert "Traceback" not in process.output()
    return complaint[0]
