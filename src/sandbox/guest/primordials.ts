/**
 * The built-ins that the kernel itself depends on, taken before any guest code runs. A guest may
 * overwrite every prototype of its realm; what goes through these still does what it did.
 */
export const { apply, construct, deleteProperty, get: reflectGet } = Reflect;
export const jsonParse = JSON.parse as (text: string) => unknown;
export const { stringify: jsonStringify } = JSON;
export const {
  create,
  defineProperty,
  freeze,
  getOwnPropertyDescriptor,
  getPrototypeOf,
  isExtensible,
} = Object;
export const NativePromise = Promise;
export const NativeDate = Date;
export const NativeError = Error;
export const NativeTypeError = TypeError;

/** A method of a prototype as a function that takes its receiver first. */
export function method<F extends (...args: never[]) => unknown>(
  prototype: object,
  name: PropertyKey,
): (self: object | string, ...args: Parameters<F>) => ReturnType<F> {
  const fn = reflectGet(prototype, name) as (...args: unknown[]) => unknown;
  return (self, ...args) => apply(fn, self, args) as ReturnType<F>;
}

export const sliceString = method<(start: number, end?: number) => string>(
  String.prototype,
  'slice',
);

const concat = method<(value: unknown) => string>(String.prototype, 'concat');
const promisePrototype: object = NativePromise.prototype;
const promiseThen = method<
  (onValue: (value: unknown) => void, onError: (error: unknown) => void) => unknown
>(Promise.prototype, 'then');
const weakMapGet = method<(key: object) => unknown>(WeakMap.prototype, 'get');
const weakMapSet = method<(key: object, value: unknown) => unknown>(WeakMap.prototype, 'set');

/**
 * Waits for a value of the guest, a promise, thenable or neither. The promise gets a `constructor` of
 * its own, so that `then` looks nothing up on a prototype that the guest may have changed.
 */
export function whenSettled(
  value: unknown,
  onValue: (value: unknown) => void,
  onError: (error: unknown) => void,
): void {
  const promise = isPlainPromise(value)
    ? value
    : new NativePromise<unknown>((resolve) => {
        resolve(value);
      });
  void defineProperty(promise, 'constructor', { value: NativePromise });
  void promiseThen(promise, onValue, onError);
}

/** What every async function returns. It needs no second promise that would ask it for its `then`. */
function isPlainPromise(value: unknown): value is Promise<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    getPrototypeOf(value) === promisePrototype &&
    isExtensible(value)
  );
}

/** A promise of what `work` returns; what it throws rejects. */
export function promiseOf<T>(work: () => T): Promise<T> {
  return new NativePromise((resolve) => {
    resolve(work());
  });
}

/** ECMAScript's ToString: what the guest gave where a string is due becomes one, a symbol throws. */
export function toText(value: unknown): string {
  return concat('', value);
}

/** A WeakMap that works after WeakMap.prototype was overwritten. */
export class PrivateNotes<T> {
  readonly #notes = new WeakMap<object, T>();

  set(key: object, note: T): void {
    weakMapSet(this.#notes, key, note);
  }

  get(key: object): T | undefined {
    return weakMapGet(this.#notes, key) as T | undefined;
  }
}

/** An object without a prototype: looking up a key finds what was put there and nothing else. */
export function dictionary<T>(): Record<string, T> {
  return create(null) as Record<string, T>;
}
