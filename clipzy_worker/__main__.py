"""`clipzy worker`: reads the settings, then runs one Celery worker until it is signalled to stop."""

import os
import sys

# Celery reads this when it is imported: pool processes then ignore a SIGTERM to the whole process group, and our
# shutdown interrupts them.
os.environ["REMAP_SIGTERM"] = "SIGQUIT"

from clipzy_storage.config.complaints import complain
from clipzy_storage.config.environment import load_dotenv, settings_from_env
from clipzy_storage.errors import ConfigurationError
from clipzy_storage.standard_streams import drop_unwritable_output
from clipzy_worker.runtime import worker


def main() -> int:
    """Run one worker; returns the exit status."""
    drop_unwritable_output()
    try:
        load_dotenv()
        return worker.run(settings_from_env())
    except ConfigurationError as error:
        for problem in error.problems:
            complain(problem)
        return ConfigurationError.EXIT_STATUS
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
