"""The sub-commands of `xo`, one file each, with `add(subparsers)` and `run(args)`. Not the command line itself."""
