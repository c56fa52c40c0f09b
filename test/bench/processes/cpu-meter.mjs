import { readProcess, readProcesses, treeOf } from './procfs.mjs';

/**
 * CPU time of the processes of a host, apart. What a process used doesn't get lost with it: whoever waited
 * for its end has it on its account.
 */
export class CpuMeter {
  /** @param others ids by name, such as the load generator's */
  constructor(host, others) {
    this.host = host;
    this.others = others;
  }

  /** Milliseconds since each of them began. */
  read() {
    const processes = readProcesses();
    const { pid, postmasterPid } = this.host;
    const sum = (pids) =>
      pids.reduce((ms, one) => ms + processes.get(one).ownMs + processes.get(one).reapedMs, 0);
    const [host, ...children] = treeOf(pid, processes, postmasterPid);
    const times = {
      host: processes.get(host)?.ownMs ?? 0,
      children: (processes.get(host)?.reapedMs ?? 0) + sum(children),
      postgres: sum(treeOf(postmasterPid, processes)),
    };
    for (const [name, other] of Object.entries(this.others)) {
      times[name] = readProcess(other)?.ownMs ?? 0;
    }
    return times;
  }

  /** Runs something and tells what each process needed for it. */
  async during(work) {
    const before = this.read();
    const result = await work();
    const after = this.read();
    const cpuMs = Object.fromEntries(
      Object.entries(after).map(([name, ms]) => [name, ms - before[name]]),
    );
    return { result, cpuMs };
  }
}
