import { registerDecorator } from 'class-validator';

/** A date, or a date with time and offset (RFC 3339), that exists in the calendar. */
export function IsTimestamp(): PropertyDecorator {
  return (target, propertyName) => {
    registerDecorator({
      name: 'isTimestamp',
      target: target.constructor,
      propertyName: String(propertyName),
      options: { message: `${String(propertyName)} must be a time such as 2026-11-20T12:00:00Z` },
      validator: { validate: isTimestamp },
    });
  };
}

export function isTimestamp(text: unknown): boolean {
  if (typeof text !== 'string') return false;
  const match = SHAPE.exec(text);
  if (!match || Number.isNaN(Date.parse(text))) return false;
  const [, year = '', month = '', day = ''] = match;
  // Date.parse takes February 30th for March 2nd.
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCDate() === Number(day) && Number(year) > 0;
}

const SHAPE = /^(\d{4})-(\d{2})-(\d{2})(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/;
