"""Commands of `flask --app wsgi` as processes that are there at once: the application is made one time, then forked.

Each line of the standard input is JSON: the arguments, settings that differ, and where the output goes; the answer is the
process's number. Its exit status is written beside the output when it ends by itself.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path

from wsgi import create_app


def main() -> None:
    app = create_app()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    print("ready", flush=True)
    for line in sys.stdin:
        told = json.loads(line)
        if child := os.fork():
            print(child, flush=True)
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output = os.open(told["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        app.config |= told["settings"]
        status = 1
        try:
            with app.app_context():
                app.cli.main(told["arguments"], prog_name="flask")
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else 1
        except BaseException:  # nothing may come back into the loop
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            Path(f"{told['output']}.status").write_text(str(status), encoding="utf-8")
            os._exit(status)


if __name__ == "__main__":
    main()
