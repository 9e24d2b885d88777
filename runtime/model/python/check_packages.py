"""Says which version of each package an interpreter has: `python -I check_packages.py NAME...`, one JSON object."""

import importlib.metadata
import json
import platform
import sys


def version_of(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    print(
        json.dumps(
            {
                "version": platform.python_version(),
                "implementation": platform.python_implementation(),
                "machine": f"{sys.platform}-{platform.machine()}",
                "packages": {name: version_of(name) for name in sys.argv[1:]},
            }
        )
    )
