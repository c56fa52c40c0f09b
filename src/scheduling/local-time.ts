/** Whether a name is one of the IANA time zone database, as this host knows it. */
export function isTimeZone(name: string): boolean {
  // Offsets such as +02:00 pass Intl, and have no daylight saving time.
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** A time as a clock in a zone shows it: ISO 8601 with offset, to the second. */
export function toLocalTime(time: Date, timezone: string): { local: string; offset: string } {
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: timezone,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
  }).formatToParts(time);
  const part = (type: Intl.DateTimeFormatPartTypes): string =>
    parts.find((one) => one.type === type)?.value ?? '';
  // "GMT+10:30"; plain "GMT" is zero.
  const offset = part('timeZoneName').slice('GMT'.length) || '+00:00';
  const date = `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}`;
  const clock = `${part('hour')}:${part('minute')}:${part('second')}`;
  return { local: `${date}T${clock}${offset}`, offset };
}
