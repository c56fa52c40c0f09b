/**
 * Whether the database refused a write for what stands in it: data exception or program limit exceeded
 * (SQLSTATE classes 22 and 54). Trying again won't help.
 */
export function isRefusedForItsContent(error: unknown): boolean {
  const code = (error as { driverError?: { code?: unknown } }).driverError?.code;
  return typeof code === 'string' && /^(22|54)/.test(code);
}
