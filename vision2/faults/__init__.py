"""Famous mistakes, reproduced on purpose behind the real pipeline (`fault=NAME`); `table.py` lists them."""
