"""`python -m bench.burn SHARE`: takes so much of a core, a burst at a time, and asks nobody anything.

What something else suffers beside it, it suffers for want of a core alone. Ends with SIGTERM.
"""

import sys
import time

BURST_S = 0.006
"""About as long as a page takes."""


def main(share: float) -> None:
    while True:
        until_s = time.process_time() + BURST_S
        while time.process_time() < until_s:
            pass
        time.sleep(BURST_S / share - BURST_S)


if __name__ == "__main__":
    main(float(sys.argv[1]))
