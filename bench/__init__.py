"""What is promised, measured: each module is `make bench-NAME`, with figures in build/bench/."""
