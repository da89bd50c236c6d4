"""One page from a folder of runs: `python -m vision2.report FOLDER`."""
