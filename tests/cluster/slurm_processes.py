"""A real Slurm (Debian's slurmctld and slurmd) of several nodes on this machine."""

import os
import shutil
import socket
import subprocess
import time

import pytest
from ports import free_port

MISSING = "Slurm is not here (Debian's packages slurmctld, slurmd, slurm-client), or this is not root: no job is queued"


class Slurm:
    """One that runs: a controller, and nodes of one CPU each."""

    def __init__(self, folder, nodes):
        if os.getuid() or not all(map(shutil.which, ("slurmctld", "slurmd", "sbatch"))):
            pytest.skip(MISSING)
        self._folder, host = folder, socket.gethostname()
        settings = {
            **{"ClusterName": "test", "SlurmctldHost": f"{host}(127.0.0.1)", "SlurmctldPort": free_port()},
            # Without munge: nobody else reaches these ports.
            **{"AuthType": "auth/none", "CredType": "cred/none", "SlurmUser": "root", "SlurmdUser": "root"},
            **{"StateSaveLocation": f"{folder}/state", "SlurmdSpoolDir": f"{folder}/spool.%n"},
            **{"SlurmctldPidFile": f"{folder}/controller.pid", "SlurmdPidFile": f"{folder}/%n.pid"},
            **{"SlurmctldLogFile": f"{folder}/controller.txt", "SlurmdLogFile": f"{folder}/%n.txt"},
            **{"ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none", "MpiDefault": "none"},
            **{"SelectType": "select/cons_tres", "SelectTypeParameters": "CR_CPU", "ReturnToService": 2},
            **{"SlurmdParameters": "config_overrides", "KillWait": 30, "JobRequeue": 1},
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        names = [f"n{number}" for number in range(nodes)]
        at = f"NodeHostname={host} NodeAddr=127.0.0.1"
        lines += [f"NodeName={name} {at} Port={free_port()} CPUs=1 State=UNKNOWN" for name in names]
        lines += [f"PartitionName=lab Nodes={','.join(names)} Default=YES MaxTime=INFINITE State=UP"]
        (folder / "state").mkdir()
        (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
        self.environment = os.environ | {"SLURM_CONF": f"{folder}/slurm.conf"}
        commands = [["slurmctld", "-D"], *(["slurmd", "-D", "-N", name] for name in names)]
        self._processes = [
            subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in commands
        ]
        self.wait_for(lambda: self.run("sinfo", "--noheader", "--Node", "--format=%T").split() == ["idle"] * nodes)

    def run(self, *command, **variables):
        """What a command of Slurm prints."""
        environment = self.environment | variables
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=self._folder)
        return done.stdout

    def state(self, job):
        """A job's state, how often it was begun again, and its exit code, as scontrol names them."""
        words = dict(w.split("=", 1) for w in self.run("scontrol", "show", "job", job).split() if "=" in w)
        return words.get("JobState"), int(words.get("Restarts", 0)), words.get("ExitCode")

    def wait_for(self, happened, seconds=120):
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not happened():
            assert time.monotonic() < deadline, self.log_ends()
            time.sleep(0.2)

    def log_ends(self):
        """The end of all logs."""
        return "\n".join(f"{file.name}:\n{file.read_text()[-2000:]}" for file in self._folder.glob("*.txt"))

    def end(self):
        """Stop it with its jobs."""
        self.run("scancel", "--full", "--state=RUNNING")
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
