"""Files and command lines of other programs, read as a workload and a plan and written from them."""
