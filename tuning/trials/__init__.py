"""Where and how single trials run: models, what ends them early, processes, devices."""
