import { Transform } from 'class-transformer';

/** Keeps JSON of a DTO's field as it came, instead of turning it into class instances. */
export const AsIs = (): PropertyDecorator =>
  Transform(({ obj, key }: { obj: Record<string, unknown>; key: string }) => obj[key]);
