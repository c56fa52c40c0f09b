import { isIPv4, isIPv6 } from 'node:net';

/**
 * The formats that are checked; any other is an annotation, as JSON Schema 2020-12 allows. Each is
 * linear in its text: no pattern here has a repetition inside a repetition.
 */
export const SCHEMA_FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  date: isDate,
  time: isTime,
  'date-time': isDateTime,
  duration: isDuration,
  email: isEmail,
  hostname: isHostname,
  ipv4: isIPv4,
  ipv6: (text) => !text.includes('%') && isIPv6(text),
  uri: (text) => !/\s/.test(text) && URL.canParse(text),
  'uri-reference': (text) => !/[\s\\]/.test(text) && URL.canParse(text, 'https://base.invalid/'),
  uuid: (text) => /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text),
  'json-pointer': isJsonPointer,
};

const DAYS_OF_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** RFC 3339 full-date. */
function isDate(text: string): boolean {
  const parts = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  if (parts === null) return false;
  const [year, month, day] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  if (month === 2 && day === 29) return isLeapYear;
  return day >= 1 && day <= (DAYS_OF_MONTH[month - 1] ?? 0);
}

/** RFC 3339 full-time, whose offset may be absent: schema libraries name local times alike. */
function isTime(text: string): boolean {
  const parts = /^(\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:z|[+-](\d\d):(\d\d))?$/i.exec(text);
  if (parts === null) return false;
  const [hour, minute, second] = [Number(parts[1]), Number(parts[2]), Number(parts[3])];
  const hasOffset = Number(parts[4] ?? 0) <= 23 && Number(parts[5] ?? 0) <= 59;
  return hour <= 23 && minute <= 59 && second <= 60 && hasOffset;
}

function isDateTime(text: string): boolean {
  const separator = text[10];
  return (
    (separator === 'T' || separator === 't') && isDate(text.slice(0, 10)) && isTime(text.slice(11))
  );
}

/** ISO 8601 as in RFC 3339, appendix A: units in order, at least one. */
function isDuration(text: string): boolean {
  if (/^P\d+W$/.test(text)) return true;
  const parts = /^P(\d+Y)?(\d+M)?(\d+D)?(T(\d+H)?(\d+M)?(\d+(?:[.,]\d+)?S)?)?$/.exec(text);
  return parts !== null && text !== 'P' && !text.endsWith('T');
}

function isEmail(text: string): boolean {
  const at = text.lastIndexOf('@');
  const local = text.slice(0, Math.max(at, 0));
  const isDotted = local.split('.').every((part) => /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+$/i.test(part));
  return text.length <= 320 && isDotted && isHostname(text.slice(at + 1));
}

/** RFC 1123. */
function isHostname(text: string): boolean {
  const name = text.endsWith('.') ? text.slice(0, -1) : text;
  if (name.length === 0 || name.length > 253) return false;
  return name
    .split('.')
    .every((label) => label.length <= 63 && /^[a-z0-9-]+$/i.test(label) && !/^-|-$/.test(label));
}

/** RFC 6901. */
function isJsonPointer(text: string): boolean {
  return (text === '' || text.startsWith('/')) && !/~(?![01])/.test(text);
}
