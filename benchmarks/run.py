"""All cases of the benchmark, or those whose names or scripts contain a word.

python benchmarks/run.py [case ...] [--rounds N] [--markdown] [--list]
"""

import doctor_overhead  # noqa: F401
import first_step  # noqa: F401
import generative_step  # noqa: F401
import import_and_build  # noqa: F401
import input_pipeline  # noqa: F401
import memory  # noqa: F401
import resume_overhead  # noqa: F401
import search_overhead  # noqa: F401
import time_to_accuracy  # noqa: F401
import train_step  # noqa: F401
from harness import main

if __name__ == "__main__":
    main()
