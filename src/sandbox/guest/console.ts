import type { Bridge } from './bridge.js';

/** `console` writes to the log of the step. Values are rendered here, in the guest's own time. */
export function createConsole(bridge: Bridge): object {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (...values: unknown[]) => {
      if (bridge.takesLogs) bridge.log(level, values.map(render).join(' '));
    };
  return {
    debug: at('debug'),
    log: at('info'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    trace: at('debug'),
  };
}

function render(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return value.stack ?? `${value.name}: ${value.message}`;
  if (typeof value !== 'object' || value === null) return String(value);
  try {
    return JSON.stringify(value);
  } catch {
    // Circular, or it throws when read: the fact that something was logged is worth a line.
    return '[object]';
  }
}
