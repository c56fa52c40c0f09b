import { Counter, Gauge, type Registry } from 'prom-client';

/** A counter that somebody else counts; read when it is asked for. */
export function counterOf(
  registry: Registry,
  { name, help, read }: { name: string; help: string; read: () => number },
): void {
  new Counter({
    name,
    help,
    registers: [registry],
    collect() {
      this.reset();
      this.inc(read());
    },
  });
}

/** What stands just now; read when it is asked for. */
export function gaugeOf(
  registry: Registry,
  { name, help, read }: { name: string; help: string; read: () => number },
): void {
  new Gauge({
    name,
    help,
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
