"""`python -m paper_repro`: see `paper_repro.cli`."""

try:
    from paper_repro.cli import main

    status = main()
except KeyboardInterrupt:  # while Python was still importing, or after the last command
    status = 130
raise SystemExit(status)
