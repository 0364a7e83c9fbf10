# The main job as tools/run shows it, on this kernel's ESP: an AWS file, two tunnels, a dead endpoint, the way back.
# seconds: 420
GATEHOUSE_RUN_BINARIES=/lab/bin bash /lab/tools/run --peer ours --data-path kernel || die "tools/run failed."
