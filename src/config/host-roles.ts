/**
 * What a host does. api: answers requests. worker: takes runs and other work from the queue. scheduler:
 * fires schedules.
 */
export const HOST_ROLES = ['api', 'worker', 'scheduler'] as const;

export type HostRole = (typeof HOST_ROLES)[number];
