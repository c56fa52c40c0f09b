import { ValidateIf } from 'class-validator';

/** The field may be left out. Unlike with IsOptional, null is a value, and refused as a wrong one. */
export const IsOmittable = (): PropertyDecorator =>
  ValidateIf((_: unknown, value: unknown) => value !== undefined);
