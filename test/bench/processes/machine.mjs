import { cpus, loadavg, release, totalmem } from 'node:os';

/** What figures depend on, before anything is measured. */
export function describeMachine() {
  const processors = cpus();
  return {
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memory_mib: Math.round(totalmem() / 1024 / 1024),
    linux: release(),
    node: process.version,
    load_before: loadavg().map((load) => Number(load.toFixed(2))),
    measured_at: new Date().toISOString(),
  };
}
