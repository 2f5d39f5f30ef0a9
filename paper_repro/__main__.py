"""`python -m paper_repro`: see `paper_repro.cli`."""

from paper_repro.cli import main

raise SystemExit(main())
