#!/usr/bin/env python3
"""A qemu machine for one lab scenario (tools/lab), emulated, so that it runs where no KVM is.

    guest.py save FOLDER CONTENT            boots, waits for LAB-READY, saves the machine in FOLDER/state
    guest.py run FOLDER CONTENT OUT SECONDS restores it with CONTENT, waits for its end, leaves its files in OUT

FOLDER holds vmlinuz, initrd and root.sqfs. CONTENT is a folder whose files the guest unpacks at its root. The exit code
of run is the scenario's own, or 124 when the machine did not come to an end in time.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

MEMORY = 1024  # MiB
DISK = 384 << 20  # bytes; the disk that brings CONTENT has the same size in every run, which a restored machine expects


class Guest:
    """One machine with its files in a folder that goes away with it."""

    def __init__(self, folder, content, log, *options):
        self.work = tempfile.mkdtemp(prefix="gh-lab-")
        self.state = os.path.join(folder, "state")
        self.log = open(log, "wb")
        disk = os.path.join(self.work, "content")
        subprocess.check_call(["tar", "-cf", disk, "-C", content, "."])
        if os.path.getsize(disk) > DISK:
            raise SystemExit(f"{content} has more than {DISK >> 20} MiB")
        os.truncate(disk, DISK)
        # More than one virtual processor reorders ESP packets under TCG; a second machine uses a second core better.
        self.process = subprocess.Popen(
            [
                "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "Nehalem", "-smp", "1",
                "-m", str(MEMORY), "-nodefaults", "-no-reboot", "-display", "none",
                "-kernel", f"{folder}/vmlinuz", "-initrd", f"{folder}/initrd",
                "-append", "console=ttyS0 quiet no_timer_check panic=-1 mitigations=off tsc=reliable",
                "-serial", "stdio", "-qmp", f"unix:{self.work}/qmp,server=on,wait=off",
                "-drive", f"if=virtio,format=raw,readonly=on,file={folder}/root.sqfs",
                "-drive", f"if=virtio,format=raw,readonly=on,file={disk}",
                "-device", "virtio-serial-pci", "-chardev", f"file,id=out,path={self.work}/out",
                "-device", "virtserialport,chardev=out,name=out", "-device", "virtio-rng-pci", *options,
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log,
        )

    def ask(self, command, **arguments):
        """One command of the QEMU Machine Protocol; its answer."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(60)
            link.connect(f"{self.work}/qmp")
            stream = link.makefile("rw")
            stream.readline()
            for request in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                while True:
                    line = stream.readline()
                    if not line:
                        raise SystemExit(f"qemu ended during {command}")
                    answer = json.loads(line)
                    if "error" in answer:
                        raise SystemExit(f"qemu refuses {command}: {answer['error']['desc']}")
                    if "return" in answer:
                        break
            return answer["return"]

    def until(self, ready, seconds):
        """Waits for a condition, at most so long; false when the time is over or the machine has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if ready():
                    return True
            except (FileNotFoundError, ConnectionRefusedError):
                pass
            time.sleep(0.02)
        return False

    def follow(self, seconds, word=None):
        """Writes the console to the log until a word appears or the machine ends; whether that was in time."""
        end, seen = time.monotonic() + seconds, b""
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.process.stdout], [], [], left)[0]:
                return False
            block = os.read(self.process.stdout.fileno(), 65536)
            self.log.write(block)
            self.log.flush()
            if not block:
                return word is None
            seen = (seen + block)[-4096:]
            if word and word in seen:
                return True
        return False

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.work)


def save(folder, content):
    guest = Guest(folder, content, f"{folder}/save.log")
    try:
        if not guest.follow(300, b"LAB-READY"):
            raise SystemExit(f"the guest did not come up; its console is in {folder}/save.log")
        # The guest has yet to begin to read from its console.
        time.sleep(0.5)
        guest.ask("migrate", uri=f"exec:cat >{guest.state}.new")
        if not guest.until(lambda: guest.ask("query-migrate").get("status") in ("completed", "failed"), 300):
            raise SystemExit("qemu did not save the guest in time")
        if guest.ask("query-migrate")["status"] == "failed":
            raise SystemExit("qemu could not save the guest")
        guest.ask("quit")
        guest.process.wait(60)
        os.rename(f"{guest.state}.new", guest.state)
    finally:
        guest.close()


def run(folder, content, out, seconds):
    with tempfile.TemporaryDirectory(prefix="gh-lab-") as whole:
        subprocess.check_call(["cp", "-a", f"{content}/.", whole])
        os.makedirs(f"{whole}/lab", exist_ok=True)
        for name, value in (("seed", os.urandom(64)), ("now", b"%d" % (time.time() + 1)), ("seconds", b"%d" % seconds)):
            with open(f"{whole}/lab/{name}", "wb") as file:
                file.write(value)
        guest = Guest(folder, whole, f"{out}/console", "-incoming", f"exec:cat {folder}/state")
    try:
        if not guest.until(lambda: guest.ask("query-status")["status"] == "running", 120):
            return 124
        guest.process.stdin.write(b"go\n")
        guest.process.stdin.flush()
        # The guest ends a scenario that takes too long; this is for a guest that hangs.
        guest.follow(seconds + 60)
        subprocess.run(["tar", "-C", out, "-xf", f"{guest.work}/out"], stderr=guest.log, check=False)
    finally:
        guest.close()
    try:
        with open(f"{out}/status") as file:
            return int(file.read())
    except (FileNotFoundError, ValueError):
        return 124


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "save":
        save(*sys.argv[2:])
    elif len(sys.argv) == 6 and sys.argv[1] == "run":
        sys.exit(run(*sys.argv[2:5], int(sys.argv[5])))
    else:
        sys.exit(__doc__)
