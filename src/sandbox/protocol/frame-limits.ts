/** JSON header of one frame, bytes. */
export const MAX_HEADER_BYTES = 1024 * 1024;

/** Raw body of one frame, bytes: an HTTP body, a result, a bundle. More than this goes as a file handle. */
export const MAX_BODY_BYTES = 5 * 1024 * 1024;

/** Text of a bundle, bytes. */
export const MAX_BUNDLE_BYTES = 3 * 1024 * 1024;

/** Request bodies of one call that may be on their way at once, bytes: they lie in the host's memory. */
export const MAX_REQUEST_BYTES_IN_FLIGHT = 12 * 1024 * 1024;

/** Request bodies of one call altogether, bytes. */
export const MAX_REQUEST_BYTES = 32 * 1024 * 1024;

/** The readable fields of a credential as JSON, bytes: they travel in a header. */
export const MAX_CREDENTIAL_BYTES = 256 * 1024;

/** Timers that one call may start, and how many may wait at once. */
export const MAX_TIMERS = 1000;
export const MAX_TIMERS_PENDING = 100;

/** Characters of a thrown error's message that leave the isolate. */
export const MAX_ERROR_MESSAGE_CHARS = 500;

/** Characters of a fault's details, as JSON. More is dropped, not cut. */
export const MAX_DETAILS_CHARS = 16 * 1024;

/** CPU time that compiling a bundle may take, milliseconds; it isn't charged to the call's own budget. */
export const COMPILE_CPU_MS = 2000;
